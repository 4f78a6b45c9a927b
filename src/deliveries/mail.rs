//! One try to hand a mail to the owner's mail server.

use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::{Error, response::Severity};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use secrecy::ExposeSecret;
use tokio::time::timeout;

use super::failure::{DeliveryError, Failed};
use super::parcel::{Parcel, cut};
use crate::config::{AlertMail, AlertSecurity};

/// A step of the conversation with the server may take so long, and all of it.
const STEP_SECS: u64 = 10;
const TRY_SECS: u64 = 30;

const MAX_SUBJECT_CHARS: usize = 120;

/// Mailboxes behind one server.
pub(super) struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Mail {
    pub(super) fn new(config: &AlertMail) -> Result<Mail, DeliveryError> {
        let mailbox = |text: &String| text.parse::<Mailbox>().map_err(|_| DeliveryError::Misconfigured);
        let secured = || TlsParameters::new(config.host.clone()).map_err(|_| DeliveryError::Misconfigured);
        let tls = match config.security {
            AlertSecurity::StartTls => Tls::Required(secured()?),
            AlertSecurity::Tls => Tls::Wrapper(secured()?),
            AlertSecurity::None => Tls::None,
        };
        // "Dangerous" is said of a builder without TLS; it is set here.
        let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(config.host.clone())
            .port(config.port)
            .tls(tls)
            .timeout(Some(Duration::from_secs(STEP_SECS)));
        let transport = match &config.login {
            Some((user, password)) => {
                transport.credentials(Credentials::new(user.clone(), password.expose_secret().to_owned()))
            }
            None => transport,
        };
        let to = config.to.iter().map(mailbox).collect::<Result<_, _>>()?;
        Ok(Mail { transport: transport.build(), from: mailbox(&config.from)?, to })
    }

    /// Hands a mail over, once.
    pub(super) async fn send(&self, parcel: &Parcel) -> Result<(), Failed> {
        let message = self.message(parcel).ok_or(DeliveryError::Misconfigured)?;
        match timeout(Duration::from_secs(TRY_SECS), self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(trouble(&error).into()),
            Err(_) => Err(DeliveryError::Timeout.into()),
        }
    }

    /// The mail of a text, whose first line is the subject too. Sent again it has the same id and date.
    fn message(&self, parcel: &Parcel) -> Option<Message> {
        let text = std::str::from_utf8(&parcel.body).ok()?;
        let subject = cut(text.lines().next().unwrap_or_default(), MAX_SUBJECT_CHARS);
        let micros = u64::try_from(parcel.at.unix_micros()).unwrap_or_default();
        let message = Message::builder()
            .from(self.from.clone())
            .subject(format!("tallybot: {subject}"))
            .date(UNIX_EPOCH + Duration::from_micros(micros))
            .message_id(Some(format!("<{}@{}>", parcel.key, self.from.email.domain())))
            .header(ContentType::TEXT_PLAIN);
        let message = self.to.iter().fold(message, |message, to| message.to(to.clone()));
        let mut message = message.body(text.to_owned()).ok()?;
        // So that no absence note answers.
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        message.headers_mut().insert_raw(HeaderValue::new(automatic, "auto-generated".to_owned()));
        Some(message)
    }
}

/// Takes only the class and the code along: a server's words may repeat addresses.
fn trouble(error: &Error) -> DeliveryError {
    if let Some(code) = error.status() {
        let number = u16::from(code);
        return match code.severity {
            Severity::TransientNegativeCompletion => DeliveryError::Busy(number),
            _ => DeliveryError::Refused(number),
        };
    }
    if error.is_timeout() {
        DeliveryError::Timeout
    } else if error.is_tls() {
        DeliveryError::Tls
    } else if error.is_client() {
        DeliveryError::Misconfigured
    } else {
        DeliveryError::NoConnection
    }
}
