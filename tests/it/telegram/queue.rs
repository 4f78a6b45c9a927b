//! Updates on their way to the bot: what waits, what was confirmed, and where they go.

use std::collections::VecDeque;

use serde_json::{Value, json};
use tokio::time::Instant;

/// What a bot gets unless it asks otherwise; what it must name is in [`ON_REQUEST`].
const BY_DEFAULT: [&str; 4] = ["message", "edited_message", "callback_query", "my_chat_member"];
/// Kinds that only come to a bot that named them.
const ON_REQUEST: [&str; 3] = ["chat_member", "message_reaction", "message_reaction_count"];

/// Where updates go instead of `getUpdates`.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    pub url: String,
    pub secret: Option<String>,
    pub last_error: Option<(i64, String)>,
}

/// The updates of one bot.
#[derive(Debug)]
pub struct Queue {
    waiting: VecDeque<Value>,
    /// Every update ever, to deliver one again.
    all: Vec<Value>,
    /// Delivered once more, whatever was confirmed.
    again: Vec<Value>,
    /// As the bot last named them; empty is the usual ones.
    allowed: Vec<String>,
    next_id: i64,
    pub webhook: Option<Webhook>,
    /// Every long poll takes a number; a newer one ends the older.
    pub polls: u64,
    /// Offset and time of the last poll.
    pub last_poll: Option<(i64, Instant)>,
    /// All updates below are confirmed.
    pub confirmed: i64,
}

impl Queue {
    pub fn new() -> Queue {
        Queue {
            waiting: VecDeque::new(),
            all: Vec::new(),
            again: Vec::new(),
            allowed: Vec::new(),
            next_id: 500_001,
            webhook: None,
            polls: 0,
            last_poll: None,
            confirmed: 0,
        }
    }

    /// Adds an update of a kind, and gives its id; 0 when the bot does not want that kind.
    pub fn push(&mut self, kind: &str, content: Value) -> i64 {
        if !self.wants(kind) {
            return 0;
        }
        let id = self.next_id;
        self.next_id += 1;
        let update = json!({"update_id": id, kind: content});
        self.all.push(update.clone());
        self.waiting.push_back(update);
        id
    }

    fn wants(&self, kind: &str) -> bool {
        if self.allowed.is_empty() { BY_DEFAULT.contains(&kind) } else { self.allowed.iter().any(|name| name == kind) }
    }

    /// Takes over `allowed_updates`; without the parameter the last one stays.
    pub fn allow(&mut self, allowed: Option<&Value>) {
        let Some(names) = allowed.and_then(Value::as_array) else { return };
        let names = names.iter().filter_map(|name| Some(name.as_str()?.to_owned()));
        let known = |name: &String| BY_DEFAULT.contains(&name.as_str()) || ON_REQUEST.contains(&name.as_str());
        self.allowed = names.filter(known).collect();
    }

    pub fn allowed(&self) -> &[String] {
        &self.allowed
    }

    /// Delivers an update once more, confirmed or not.
    pub fn deliver_again(&mut self, id: i64) {
        let update = self.all.iter().find(|update| update["update_id"] == id).expect("an update that was delivered");
        self.again.push(update.clone());
    }

    /// Confirms everything below `offset`; a negative one leaves so many of the newest.
    pub fn confirm(&mut self, offset: i64) {
        if offset < 0 {
            let keep = usize::try_from(-offset).unwrap_or(0);
            while self.waiting.len() > keep {
                self.waiting.pop_front();
            }
        } else if offset > 0 {
            self.waiting.retain(|update| update["update_id"].as_i64() >= Some(offset));
            self.confirmed = self.confirmed.max(offset.min(self.next_id));
        }
    }

    /// The updates that wait, not yet confirmed.
    pub fn next(&mut self, limit: usize) -> Vec<Value> {
        let again = std::mem::take(&mut self.again);
        again.into_iter().chain(self.waiting.iter().cloned()).take(limit).collect()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.again.is_empty()
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The update that goes to the webhook next; it stays until [`delivered`](Queue::delivered).
    pub fn front(&self) -> Option<Value> {
        self.again.first().or_else(|| self.waiting.front()).cloned()
    }

    /// The webhook took the front one.
    pub fn delivered(&mut self, update: &Value) {
        if self.again.first() == Some(update) {
            self.again.remove(0);
        } else {
            self.confirm(update["update_id"].as_i64().unwrap_or(0) + 1);
        }
    }

    pub fn clear(&mut self) {
        self.waiting.clear();
    }
}
