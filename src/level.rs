//! The level of a log line that an operator needs once, and that is a detail when it is repeated.

/// Logs at level WARN if the condition holds, and otherwise at level DEBUG. The other arguments are those of
/// [`tracing::warn!`].
macro_rules! warn_if {
    ($condition:expr, $($argument:tt)+) => {
        if $condition {
            ::tracing::warn!($($argument)+);
        } else {
            ::tracing::debug!($($argument)+);
        }
    };
}
