//! A call that was not admitted, as the API that was called would say it.

use super::Refused;
use crate::limits::{Measure, Refusal};
use crate::models::endpoint::{Class, Fault, LONG_WAIT_SECS};
use crate::usage::{ErrorKind, Money};

/// When it is worth trying again where calls under way hold the room: about as long as an answer takes.
const HELD_RETRY_SECS: u64 = 10;

impl From<&Refused> for Fault {
    fn from(refused: &Refused) -> Fault {
        match refused {
            Refused::Limit(refusal) => limited(refusal),
            Refused::Busy => Fault::new(Class::Busy, "too many calls at once; try again in a moment").retry_after(1),
            // What the system says of the disk is nothing for clients.
            Refused::Ledger(_) => {
                Fault::new(Class::Busy, "the ledger cannot be written now, so no call is made").retry_after(5)
            }
            Refused::Left(ErrorKind::Shutdown) => {
                let message = "tallybot is stopping, and this call waited in line for a limit; try again in a moment";
                Fault::new(Class::Busy, message).retry_after(5)
            }
            Refused::Left(_) => Fault::new(Class::Busy, refused.to_string()).retry_after(5),
        }
    }
}

fn limited(refusal: &Refusal) -> Fault {
    let what = match (refusal.learned, refusal.stopped) {
        // Of a wait that it asks for it may tell no numbers.
        (true, _) if refusal.max == 0 => format!("the provider asks to wait (`{}`)", refusal.label),
        (true, _) => format!("the provider asks to wait ({refusal})"),
        (_, true) => format!("the budget `{}` of `{}` was stopped", refusal.limit, refusal.label),
        _ => no_room(refusal),
    };
    if refusal.held {
        let later = refusal.until().map_or_else(String::new, |until| format!(", and at {until} at the latest"));
        let message = format!("{what}, some of it for calls under way; it may fit when they end{later}");
        return Fault::new(Class::RateLimited, message).retry_after(HELD_RETRY_SECS);
    }
    let is_of_money = refusal.limit.measure() == Measure::Money;
    let Some(wait_ms) = refusal.wait_ms() else {
        let advice = match refusal.is_of_a_prepaid_rest() {
            true if refusal.used >= refusal.max => "what is prepaid and used up does not come back by itself",
            true => {
                "what is left is less than this call may use, and what is prepaid does not come back by itself; with \
                 less output allowed it may fit"
            }
            false => {
                "this call alone asks for more than there ever is: its prompt, and all the output that it allows; with less \
                 output allowed it may fit"
            }
        };
        return Fault::new(Class::QuotaExhausted, format!("{what}; {advice}"));
    };
    let secs = wait_ms.div_ceil(1000);
    let class = if is_of_money || secs > LONG_WAIT_SECS { Class::QuotaExhausted } else { Class::RateLimited };
    let until = refusal.until().map_or_else(String::new, |until| format!(" ({until})"));
    Fault::new(class, format!("{what}; it fits again in {secs} s{until}")).retry_after(secs)
}

/// A limit that is in the way, in dollars where it counts money.
fn no_room(refusal: &Refusal) -> String {
    if refusal.limit.measure() != Measure::Money {
        return refusal.to_string();
    }
    let usd = |pico: u64| Money::from_pico_usd(pico.into());
    let (used, max) = (usd(refusal.used), usd(refusal.max));
    format!("`{}` of `{}` has no room: ${used} of ${max} used or reserved", refusal.limit, refusal.label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{Label, LimitKind, NextSafe};
    use crate::models::endpoint::Dialect;
    use crate::usage::Timestamp;

    #[test]
    fn who_is_kept_away_by_calls_under_way_is_told_to_come_back_soon() {
        let tomorrow = Timestamp::new(1_795_305_600_000_000, 0);
        let refusal = Refusal {
            limit: LimitKind::TokensPerDay,
            label: Label(Vec::new()),
            used: 954,
            max: 1_000,
            budget: true,
            at_limit: None,
            learned: false,
            stopped: false,
            held: true,
            next: NextSafe::At { at: tomorrow, wait_ms: 66_288_000 },
        };
        let told = |refusal: &Refusal| {
            let fault = Fault::from(&Refused::Limit(Box::new(refusal.clone())));
            let message = fault.message().to_owned();
            let response = fault.into_response(Dialect::OpenAi);
            let header =
                |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            (message, response.status().as_u16(), header("retry-after"), header("x-should-retry"))
        };
        let (message, status, retry_after, should_retry) = told(&refusal);
        assert_eq!(
            message,
            "`tokens_per_day` of `everything` has no room: 954 of 1000 used or reserved, some of it for calls under way; \
             it may fit when they end, and at 2026-11-22T00:00:00.000000+00:00 at the latest"
        );
        assert_eq!((status, retry_after.as_deref(), should_retry.as_deref()), (429, Some("10"), None));
        let (message, ..) = told(&Refusal { next: NextSafe::Never, ..refusal.clone() });
        assert!(message.ends_with("it may fit when they end"), "{message}");
        let (_, status, retry_after, should_retry) = told(&Refusal { held: false, ..refusal });
        assert_eq!((status, retry_after.as_deref(), should_retry.as_deref()), (429, Some("66288"), Some("false")));
    }

    #[test]
    fn where_the_books_are_is_not_told_to_clients() {
        let refused = Refused::Ledger("cannot write `books/slots`".to_owned());
        let fault = Fault::from(&refused);
        assert_eq!(fault.message(), "the ledger cannot be written now, so no call is made");
    }
}
