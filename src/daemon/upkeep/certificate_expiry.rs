//! Warns before the client certificate of the app expires.

use std::time::Duration;

use jiff::Timestamp;
use tracing::{error, warn};

use crate::clock::readable;
use crate::config::ClientCertificate;
use crate::telemetry::Metrics;

const DAY: Duration = Duration::from_hours(24);

/// When to warn before the end. People renew certificates that live for months or years.
const STEPS: [Duration; 3] = [ClientCertificate::EXPIRES_SOON, DAY, Duration::ZERO];

/// The warnings that were logged about one certificate.
#[derive(Default)]
pub(super) struct ExpiryWarnings {
    ends: Option<Timestamp>,
    /// The number of steps that were logged.
    steps: usize,
}

impl ExpiryWarnings {
    /// Records the expiry of the current certificate, if there is one, and logs each step once.
    pub(super) fn check(&mut self, certificate: Option<&ClientCertificate>, now: Timestamp, metrics: &Metrics) {
        let ends = certificate.map(ClientCertificate::not_after);
        metrics.certificate_ends(ends);
        if self.ends != ends {
            *self = Self { ends, steps: 0 };
        }
        let Some(certificate) = certificate else {
            return;
        };
        let left = certificate.left(now);
        let steps = STEPS.iter().filter(|step| left <= **step).count();
        if steps <= self.steps {
            return;
        }
        self.steps = steps;
        let (file, expires) = (certificate.file().display(), certificate.not_after());
        let hint = ClientCertificate::RENEW;
        if left.is_zero() {
            error!(%file, expired = %expires, hint, "Client certificate of the app expired, Microsoft issues no more tokens");
        } else {
            let expires_in = readable(left);
            warn!(%file, %expires, expires_in, hint, "Client certificate of the app expires soon");
        }
    }
}
