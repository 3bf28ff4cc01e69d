//! Turns events into lines, and hands them to the queue.

use std::sync::Arc;

use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, Scope};

use crate::clock;
use crate::config::LogFormat;
use crate::telemetry::logs::line::{Fields, LogLine, Style};
use crate::telemetry::logs::queue::Queue;

/// Prints every event that the filter lets through.
#[derive(Debug)]
pub(super) struct Printer {
    pub(super) style: Style,
    pub(super) queue: Arc<Queue>,
}

impl<S> Layer<S> for Printer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            span.extensions_mut().replace(Fields::of(attributes));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = LogLine::new(self.style, *event.metadata().level(), clock::now());
        event.record(&mut line);
        // JSON has the names that are documented, and no others.
        if self.style.format == LogFormat::Text {
            for span in context.event_scope(event).into_iter().flat_map(Scope::from_root) {
                if let Some(Fields(fields)) = span.extensions().get() {
                    line.append(fields);
                }
            }
        }
        self.queue.push(&line.finish());
    }
}

#[cfg(test)]
mod tests {
    use tracing::{debug_span, error, info, warn};
    use tracing_subscriber::Registry;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Returns the lines that were logged meanwhile, without their times.
    fn logged(format: LogFormat, log: impl FnOnce()) -> Vec<String> {
        let style = Style { format, colours: false };
        let queue = Arc::new(Queue::new(style, Box::leak(Box::default())));
        let printer = Printer {
            style,
            queue: Arc::clone(&queue),
        };
        tracing::subscriber::with_default(Registry::default().with(printer), log);
        let text = queue.take_all();
        assert!(text.ends_with('\n'), "{text:?}");
        text.trim_end_matches('\n').split('\n').map(str::to_owned).collect()
    }

    fn without_time(line: &str) -> &str {
        let (time, rest) = line.split_at("2026-01-01T00:00:00.000000Z".len());
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{line}");
        rest
    }

    #[test]
    fn values_are_quoted_if_and_only_if_they_are_not_one_word() {
        let lines = logged(LogFormat::Text, || {
            let error = std::io::Error::other("could not post: a=\"b\"");
            warn!(recipient = "a…@example.com", recipient2 = %"a…@example.com", "Cannot notify recipient");
            info!(
                count = 3,
                ratio = 0.5,
                well = true,
                empty = "",
                path = "C:\\x",
                "Counted"
            );
            error!(error = %error, error2 = &error as &dyn std::error::Error, "Failed");
            let span = debug_span!("task", task.name = "watch");
            span.in_scope(|| info!(span_of = ?Some("two words"), "Inside"));
        });
        let lines: Vec<_> = lines.iter().map(|line| without_time(line)).collect();
        assert_eq!(
            lines,
            [
                "  WARN Cannot notify recipient recipient=a…@example.com recipient2=a…@example.com",
                r#"  INFO Counted count=3 ratio=0.5 well=true empty="" path="C:\\x""#,
                r#" ERROR Failed error="could not post: a=\"b\"" error2="could not post: a=\"b\"""#,
                r#"  INFO Inside span_of="Some(\"two words\")" task.name=watch"#,
            ]
        );
    }

    /// A name from outside that forges a line, colours a terminal and turns text around.
    const HOSTILE: &str = "night\r\n2026-01-01T00:00:00.000000Z ERROR forged\u{1b}[31m\u{7}\u{9b}31m\u{202e}\u{2028}x";

    #[test]
    fn text_from_outside_stays_on_its_line_and_reaches_no_terminal_whatever_it_comes_through() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let lines = logged(format, || {
                info!("Rule {HOSTILE} left out");
                info!(rule = HOSTILE, "A text");
                info!(rule = %HOSTILE, "A display");
                info!(rule = ?[HOSTILE], "A debug");
                let error = std::io::Error::other(HOSTILE);
                info!(error = &error as &dyn std::error::Error, "An error");
                debug_span!("task", task.name = HOSTILE).in_scope(|| info!("A span"));
            });
            assert_eq!(lines.len(), 6, "{lines:#?}");
            for line in &lines {
                assert!(!line.contains(crate::visible::is_hidden), "{line:?}");
                assert!(line.contains("forged") || format == LogFormat::Json, "{line:?}");
            }
        }
    }

    #[test]
    fn json_lines_hold_exactly_what_was_logged() {
        let lines = logged(LogFormat::Json, || {
            info!(rule = HOSTILE, tag = "\u{e0041}", count = 3, ratio = f64::NAN, request.id = %"0195", "Rule \"x\" read");
        });
        let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["message"], "Rule \"x\" read");
        assert_eq!(line["rule"], HOSTILE);
        assert_eq!(line["tag"], "\u{e0041}");
        assert_eq!(line["count"], 3);
        assert_eq!(line["ratio"], "NaN");
        assert_eq!(line["request.id"], "0195");
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    }

    #[test]
    fn a_value_without_an_end_is_cut() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let long = "é".repeat(3 << 20);
            let lines = logged(format, || info!(reason = long, other = %long, "Long"));
            assert!(lines[0].len() < 20_000, "{}", lines[0].len());
            assert_eq!(lines[0].matches('…').count(), 2);
        }
    }
}
