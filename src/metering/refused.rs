//! A call that was not admitted, as the API that was called would say it.

use super::Refused;
use crate::limits::{Measure, Refusal};
use crate::models::endpoint::{Class, Fault, LONG_WAIT_SECS};
use crate::usage::{ErrorKind, Money};

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

    #[test]
    fn where_the_books_are_is_not_told_to_clients() {
        let refused = Refused::Ledger("cannot write `books/slots`".to_owned());
        let fault = Fault::from(&refused);
        assert_eq!(fault.message(), "the ledger cannot be written now, so no call is made");
    }
}
