//! Numbers for Prometheus (its text format, version 0.0.4).

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// What is counted. One for a server.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
    pub(super) connections: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) sent: AtomicU64,
}

impl Metrics {
    /// A request was answered. Unknown methods are counted as one, since a client can make them up.
    pub(super) fn answered(&self, method: &str, status: u16) {
        let known = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
        let method = known.into_iter().find(|known| *known == method).unwrap_or("other");
        *self.requests.lock().unwrap_or_else(PoisonError::into_inner).entry((method, status)).or_default() += 1;
    }

    /// The page of numbers; `damaged` blobs are known.
    pub(super) fn page(&self, damaged: usize) -> String {
        let mut page = String::new();
        let head = |name: &str, kind: &str, help: &str| {
            format!("# HELP airlift_{name} {help}\n# TYPE airlift_{name} {kind}\n")
        };
        page += &head("requests_total", "counter", "Requests answered, by method and status.");
        for ((method, status), count) in &*self.requests.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = writeln!(page, "airlift_requests_total{{method=\"{method}\",code=\"{status}\"}} {count}");
        }
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        for (name, kind, help, value) in [
            ("connections", "gauge", "Connections open.", read(&self.connections)),
            ("received_bytes_total", "counter", "Bytes received, TLS not counted.", read(&self.received)),
            ("sent_bytes_total", "counter", "Bytes sent, TLS not counted.", read(&self.sent)),
            ("damaged_blobs", "gauge", "Blobs found damaged where they are kept.", damaged as u64),
        ] {
            page += &head(name, kind, help);
            let _ = writeln!(page, "airlift_{name} {value}");
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_told_and_made_up_verbs_are_one() {
        let metrics = Metrics::default();
        for method in ["GET", "GET", "BREW", "WHEN"] {
            metrics.answered(method, 200);
        }
        let page = metrics.page(3);
        for line in [
            "airlift_requests_total{method=\"GET\",code=\"200\"} 2",
            "airlift_requests_total{method=\"other\",code=\"200\"} 2",
            "airlift_damaged_blobs 3",
        ] {
            assert!(page.lines().any(|found| found == line), "{page}");
        }
    }
}
