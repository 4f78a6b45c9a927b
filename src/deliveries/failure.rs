//! Why an alert did not arrive: a class and a code, never the words of a server, which may repeat a URL.

use std::time::Duration;

/// Why an alert did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// No connection stood, or it broke.
    #[error("no connection")]
    NoConnection,
    /// Nothing came in time: whether it arrived is not known.
    #[error("no answer in time")]
    Timeout,
    /// The connection could not be secured.
    #[error("no secure connection: the certificate or the protocol is not accepted")]
    Tls,
    /// The server is busy or has trouble: the same alert may go through later.
    #[error("the server answered {0}")]
    Busy(u16),
    /// The server does not want it, and will not later.
    #[error("the server refused it with {0}")]
    Refused(u16),
    /// The server names another address, which is not followed.
    #[error("the server answered {0} and names another address")]
    Elsewhere(u16),
    /// The place cannot be used as it is configured.
    #[error("the place cannot be used as it is configured")]
    Misconfigured,
    /// Too many newer alerts waited for the same place.
    #[error("too many alerts waited; the oldest were dropped")]
    Crowded,
    /// The program ended first.
    #[error("tallybot stopped before it was delivered")]
    Stopped,
}

impl DeliveryError {
    /// Its name in JSON and in fields of the log.
    pub fn kind(self) -> &'static str {
        match self {
            DeliveryError::NoConnection => "no_connection",
            DeliveryError::Timeout => "timeout",
            DeliveryError::Tls => "tls",
            DeliveryError::Busy(_) => "busy",
            DeliveryError::Refused(_) => "refused",
            DeliveryError::Elsewhere(_) => "elsewhere",
            DeliveryError::Misconfigured => "misconfigured",
            DeliveryError::Crowded => "crowded",
            DeliveryError::Stopped => "stopped",
        }
    }

    /// What the server answered, if it did.
    pub fn code(self) -> Option<u16> {
        match self {
            DeliveryError::Busy(code) | DeliveryError::Refused(code) | DeliveryError::Elsewhere(code) => Some(code),
            _ => None,
        }
    }

    /// Whether the same alert may go through a little later.
    pub(super) fn passes(self) -> bool {
        matches!(
            self,
            DeliveryError::NoConnection | DeliveryError::Timeout | DeliveryError::Tls | DeliveryError::Busy(_)
        )
    }
}

/// One try that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) error: DeliveryError,
    /// How long the server asks to wait.
    pub(super) wait: Option<Duration>,
}

impl From<DeliveryError> for Failed {
    fn from(error: DeliveryError) -> Failed {
        Failed { error, wait: None }
    }
}
