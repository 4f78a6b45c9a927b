//! What Telegram says when it does not do what was asked: codes, descriptions, parameters, word for word.

use serde_json::{Value, json};

/// An answer with `"ok": false`.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    pub code: u16,
    pub description: String,
    /// `retry_after` or `migrate_to_chat_id`.
    pub parameters: Option<Value>,
}

impl Refusal {
    pub fn new(code: u16, description: impl Into<String>) -> Refusal {
        Refusal { code, description: description.into(), parameters: None }
    }

    /// 400.
    pub fn bad(what: impl std::fmt::Display) -> Refusal {
        Refusal::new(400, format!("Bad Request: {what}"))
    }

    /// 403.
    pub fn forbidden(what: &str) -> Refusal {
        Refusal::new(403, format!("Forbidden: {what}"))
    }

    /// 429.
    pub fn retry_after(seconds: u32) -> Refusal {
        let description = format!("Too Many Requests: retry after {seconds}");
        Refusal { parameters: Some(json!({"retry_after": seconds})), ..Refusal::new(429, description) }
    }

    /// 400 of a group that has become a supergroup.
    pub fn migrated(to: i64) -> Refusal {
        let refusal = Refusal::bad("group chat was upgraded to a supergroup chat");
        Refusal { parameters: Some(json!({"migrate_to_chat_id": to})), ..refusal }
    }

    /// 409 of the poll that another one ended.
    pub fn other_poll() -> Refusal {
        let what = "terminated by other getUpdates request; make sure that only one bot instance is running";
        Refusal::new(409, format!("Conflict: {what}"))
    }

    /// 409 of a poll while updates go to a webhook.
    pub fn webhook_is_set() -> Refusal {
        let what = "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first";
        Refusal::new(409, format!("Conflict: {what}"))
    }

    /// 409 of a poll that `setWebhook` ended.
    pub fn webhook_came() -> Refusal {
        Refusal::new(409, "Conflict: terminated by setWebhook request")
    }

    /// 404, for methods that do not exist or are switched off.
    pub fn no_method() -> Refusal {
        Refusal::new(404, "Not Found: method not found")
    }

    pub fn body(&self) -> Value {
        let mut body = json!({"ok": false, "error_code": self.code, "description": self.description});
        if let Some(parameters) = &self.parameters {
            body["parameters"] = parameters.clone();
        }
        body
    }

    /// The number of seconds to wait, if that is what it says.
    pub fn wait_secs(&self) -> Option<u64> {
        self.parameters.as_ref()?["retry_after"].as_u64()
    }
}
