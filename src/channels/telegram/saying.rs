//! Whole messages: replies, screens that take the place of others, apologies. HTML, and plain when that is not taken.

use teloxide_core::types::InlineKeyboardMarkup;

use super::api::{Show, Words};
use super::failure::Failure;
use super::format::Formatted;
use super::html;
use super::presses;
use super::receipt::Receipt;
use super::split::{MAX_LENGTH, split};
use super::spot::{Spot, message_id};
use super::tools::Tools;
use crate::conversation::{Button, Keyboard, MessageRef, Origin, PrivateText};

/// Something to say.
pub(super) struct Saying {
    pub(super) spot: Spot,
    /// In Telegram's HTML.
    pub(super) text: PrivateText,
    pub(super) keyboard: Keyboard<Button>,
    pub(super) replace: Option<MessageRef>,
    pub(super) origin: Origin,
    /// As a reply, also where it would be plain what it answers.
    pub(super) as_reply: bool,
}

/// Says it.
pub(super) async fn say(tools: &Tools, saying: Saying) {
    let Saying { spot, text, keyboard, replace, origin, as_reply } = saying;
    let receipt = Receipt::of(&origin);
    // Nothing else will come of it when nobody else holds on to it.
    let is_last = origin.ticket.as_ref().is_some_and(|ticket| std::sync::Arc::strong_count(ticket) == 1);
    let answers = receipt.filter(|_| is_last);
    let text = html::of(&text);
    let keyboard = presses::markup(&keyboard, tools.nonce);
    let answered = origin.message.as_ref().and_then(message_id).filter(|_| origin.press.is_none());
    let reply_to = if as_reply { answered } else { reply_to(spot, &origin) };
    let said = match replace.as_ref().and_then(message_id) {
        Some(message) => match edit(tools, spot, message, &text, keyboard.as_ref(), answers).await {
            Err(Failure::Gone) => send(tools, spot, &text, keyboard.as_ref(), None, answers).await,
            other => other.map(|()| message),
        },
        None => send(tools, spot, &text, keyboard.as_ref(), reply_to, answers).await,
    };
    if let Some(ticket) = &origin.ticket {
        ticket.said();
    }
    match (said, receipt) {
        // A word about a question that waits answers nothing: whoever waits holds on to it.
        (Ok(_) | Err(Failure::NotModified), Some(receipt)) if is_last => receipt.settle(),
        (Err(failure), receipt) => give_up(tools, spot, receipt, &failure),
        _ => {}
    }
}

/// The message that what is said answers: in groups, where several speak.
pub(super) fn reply_to(spot: Spot, origin: &Origin) -> Option<i32> {
    let of_a_message = !spot.is_private() && origin.press.is_none();
    origin.message.as_ref().filter(|_| of_a_message).and_then(message_id)
}

/// Sends a message; gives its id. `whole`: it is all there is to say.
pub(super) async fn send(
    tools: &Tools,
    spot: Spot,
    text: &Formatted,
    keyboard: Option<&InlineKeyboardMarkup>,
    reply_to: Option<i32>,
    answers: Option<&Receipt>,
) -> Result<i32, Failure> {
    let html = Show::Send { words: Words { text: &text.html, html: true }, keyboard, reply_to };
    let sent = match tools.insist(spot, html, answers).await {
        Err(Failure::BadMarkup) => {
            let plain = Show::Send { words: Words { text: &text.plain, html: false }, keyboard, reply_to };
            tools.insist(spot, plain, answers).await
        }
        Err(Failure::TooLong) => {
            let mut last = Err(Failure::TooLong);
            for part in split(&text.plain) {
                let words = Words { text: &part, html: false };
                last = Ok(tools.insist(spot, Show::Send { words, keyboard, reply_to }, answers).await?);
            }
            last
        }
        other => other,
    };
    sent?.ok_or(Failure::Broken)
}

/// Puts a text in place of what a message shows.
pub(super) async fn edit(
    tools: &Tools,
    spot: Spot,
    message: i32,
    text: &Formatted,
    keyboard: Option<&InlineKeyboardMarkup>,
    answers: Option<&Receipt>,
) -> Result<(), Failure> {
    let html = Show::Edit { message, words: Words { text: &text.html, html: true }, keyboard };
    let edited = match tools.insist(spot, html, answers).await {
        Err(Failure::BadMarkup | Failure::TooLong) => {
            let plain: String = text.plain.chars().take(MAX_LENGTH).collect();
            let words = Words { text: &plain, html: false };
            tools.insist(spot, Show::Edit { message, words, keyboard }, answers).await
        }
        other => other,
    };
    if edited == Err(Failure::NotModified) { Ok(()) } else { edited.map(drop) }
}

/// What could not be said: where nobody listens any more that is the end of it; else an apology follows some day.
pub(super) fn give_up(tools: &Tools, spot: Spot, receipt: Option<&Receipt>, failure: &Failure) {
    if !matches!(failure, Failure::Blocked | Failure::TopicClosed) {
        tracing::warn!(%failure, "something could not be said on Telegram");
    }
    let may_come_later = failure.passes() || *failure == Failure::Unauthorized;
    let Some(receipt) = receipt else { return };
    if may_come_later && !tools.is_closed(spot) { receipt.keep() } else { receipt.settle() }
}
