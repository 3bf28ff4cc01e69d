//! The metrics of the process itself, named as Prometheus' client libraries name them.
//!
//! Read from Linux' `/proc/self` at each scrape, which works in the unit's sandbox (`ProcSubset=pid`) too. What cannot be
//! read is left out.

use std::{fmt, fs};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::clock;

/// Unit of CPU times in `/proc/self/stat` (`USER_HZ`): 100 on every architecture that this program is built for (proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;

/// The process, as Prometheus sees it.
#[derive(Debug)]
pub(super) struct Process {
    /// Seconds since 1970.
    start: f64,
}

impl Process {
    /// Sets up the metrics. The program does so as it starts, so the start time is now.
    pub(super) fn new() -> Self {
        Self {
            start: clock::now().as_duration().as_secs_f64(),
        }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut write = |name: &str, help: &str, metric: &dyn EncodeMetric| {
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
        };
        let text = |file: &str| fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
        let help = "Start time of the process since unix epoch in seconds.";
        write("process_start_time_seconds", help, &ConstGauge::new(self.start))?;
        if let Some(seconds) = cpu_seconds(&text("stat")) {
            let help = "Total user and system CPU time spent in seconds.";
            write("process_cpu_seconds", help, &ConstCounter::new(seconds))?;
        }
        let (status, limits) = (text("status"), text("limits"));
        for (name, help, value) in [
            (
                "process_resident_memory_bytes",
                "Resident memory size in bytes.",
                kibibytes(&status, "VmRSS:"),
            ),
            (
                "process_virtual_memory_bytes",
                "Virtual memory size in bytes.",
                kibibytes(&status, "VmSize:"),
            ),
            (
                "process_threads",
                "Number of OS threads in the process.",
                number(&status, "Threads:"),
            ),
            ("process_open_fds", "Number of open file descriptors.", open_files()),
            (
                "process_max_fds",
                "Maximum number of open file descriptors.",
                number(&limits, "Max open files"),
            ),
        ] {
            if let Some(value) = value {
                write(name, help, &ConstGauge::new(value))?;
            }
        }
        Ok(())
    }
}

/// Reads the time in user and in system mode: the 14th and 15th field. The second is a name in parentheses, which may hold
/// spaces and parentheses itself.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

/// Reads the first number of the line that begins with this.
fn number(text: &str, name: &str) -> Option<i64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

fn kibibytes(text: &str, name: &str) -> Option<i64> {
    number(text, name)?.checked_mul(1_024)
}

fn open_files() -> Option<i64> {
    let open = fs::read_dir("/proc/self/fd").ok()?.count();
    // One of them is open for this listing.
    i64::try_from(open).ok().map(|open| open - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_where_linux_writes_them() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 2034 0 0 0 150 25 0 0 20 0 5 0 3661 9 8 18446744073709551615\n";
        assert_eq!(cpu_seconds(stat), Some(1.75));
        assert_eq!(cpu_seconds(""), None);
        let status = "Name:\tx\nVmSize:\t   20480 kB\nVmRSS:\t  12288 kB\nThreads:\t5\n";
        assert_eq!(kibibytes(status, "VmRSS:"), Some(12_288 << 10));
        assert_eq!(kibibytes(status, "VmSize:"), Some(20_480 << 10));
        assert_eq!(number(status, "Threads:"), Some(5));
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max open files            1024                 4096                 files     \n";
        assert_eq!(number(limits, "Max open files"), Some(1_024));
        assert_eq!(number("Max open files            unlimited\n", "Max open files"), None);
    }
}
