//! Whose budget is meant: names as typed, found again among those that are known, and people by their ids.

use super::change::Whose;
use super::known::Budgets;
use crate::access::chat_id;
use crate::app::Desk;
use crate::conversation::{BudgetMistakeView, BudgetOf, BudgetRemark, ChatKey, PrivateText, nearest};
use crate::ledger::People;
use crate::limits::{Facet, Label};
use crate::reports::with_names;
use crate::service::items::PEOPLE_OF;
use crate::templates::fold;
use crate::usage::SubjectId;
use crate::usage::names::{CHANNELS, CHAT_CHANNELS, Name, OWNER};

/// Whom an order is about.
pub(super) struct Named {
    pub(super) whose: Whose,
    /// The text of the person's subject id, where it is about one.
    pub(super) user: Option<String>,
    pub(super) remark: Option<BudgetRemark>,
    /// Who the person is: a channel and an identity.
    person: Option<(String, String)>,
}

/// One value in its three forms.
struct Value {
    text: String,
    shown: String,
    typed: String,
}

impl Value {
    fn of(text: &str) -> Value {
        Value { text: text.to_owned(), shown: text.to_owned(), typed: text.to_owned() }
    }
}

impl Named {
    /// Keeps who the person is, to be shown by it from now on.
    pub(super) fn remember(&self, people: &People) {
        if let Some((channel, identity)) = &self.person {
            people.subject(channel, identity);
        }
    }
}

impl Desk {
    /// Finds whom an order is about.
    ///
    /// # Errors
    /// When a value is nobody's and can be nobody's: an id that is none, a provider that is not configured.
    pub(super) fn named(&self, of: &BudgetOf, chat: &ChatKey, budgets: &Budgets) -> Result<Named, BudgetMistakeView> {
        let mut named = Named {
            whose: Whose { subject: String::new(), shown: String::new(), typed: String::new() },
            user: None,
            remark: None,
            person: None,
        };
        let mut values = Vec::new();
        for (facet, typed) in &of.0 {
            let value = match facet {
                _ if &**typed == "*" => Value::of("*"),
                Facet::User => self.person_named(typed, chat, &mut named)?,
                Facet::Provider => known(typed, self.provider_infos.iter().map(|info| info.name.as_str()))?,
                Facet::Channel => known(typed, CHANNELS)?,
                Facet::Model | Facet::Team | Facet::Feature | Facet::Key => self.name(typed, budgets, &mut named),
            };
            values.push((*facet, value));
        }
        let label = |form: fn(&Value) -> &str| {
            Label(values.iter().map(|(facet, value)| (*facet, form(value).into())).collect()).to_string()
        };
        named.whose = Whose {
            subject: label(|value| &value.text),
            shown: label(|value| &value.shown),
            typed: label(|value| &value.typed),
        };
        Ok(named)
    }

    /// A subject with people by what is known of them.
    pub(super) fn shown(&self, subject: &str) -> String {
        with_names(subject, |id| self.known_as(id))
    }

    /// What a person is typed as, where they are still known: a program may call people by numbers, as chats do.
    pub(in crate::app) fn known_as(&self, subject: &SubjectId) -> Option<String> {
        let (channel, identity) = self.people.who(subject)?;
        // A program may call people as chats do, and in words that cannot be typed here.
        let is_as_in_a_chat = chat_id(&identity).is_some() || identity == OWNER || identity.contains(':');
        match channel == PEOPLE_OF {
            true if identity.contains(char::is_whitespace) => None,
            true if is_as_in_a_chat => Some(format!("{channel}:{identity}")),
            _ => Some(identity),
        }
    }

    /// `111`, `telegram:111`, `owner`, `guests`, or the subject id of somebody whose row is gone.
    fn person_named(&self, typed: &str, chat: &ChatKey, named: &mut Named) -> Result<Value, BudgetMistakeView> {
        if typed == "guests" {
            return Ok(Value::of(typed));
        }
        if let Some(subject) = SubjectId::parse(typed) {
            named.user = Some(subject.to_string());
            let shown = self.people.identity(&subject).unwrap_or_else(|| typed.to_owned());
            return Ok(Value { shown, ..Value::of(typed) });
        }
        let wrong = || BudgetMistakeView::new("person", typed.into());
        let channels = || CHAT_CHANNELS.into_iter().chain([PEOPLE_OF]);
        let (channel, identity) = match typed.split_once(':') {
            Some((channel, identity)) => {
                (channels().find(|known| *known == fold(channel)).ok_or_else(wrong)?, identity)
            }
            // The terminal knows one person only, who has no number.
            None if chat_id(typed).is_some() && chat.channel == "terminal" => ("telegram", typed),
            None if chat_id(typed).is_some() || typed == OWNER && chat.channel == "terminal" => (chat.channel, typed),
            // Whoever has spoken elsewhere is shown as they are known there.
            None => {
                let known = self.people.only_channel_of(typed);
                (channels().find(|channel| known.as_deref() == Some(channel)).ok_or_else(wrong)?, typed)
            }
        };
        let identity = match channel {
            "telegram" => chat_id(identity).filter(|id| *id > 0).ok_or_else(wrong)?.to_string(),
            _ if identity.is_empty() => return Err(wrong()),
            _ => identity.to_owned(),
        };
        let subject = self.people.hash(channel, &identity);
        if self.people.who(&subject).is_none() {
            named.remark = Some(BudgetRemark::NotSpoken);
        }
        (named.user, named.person) = (Some(subject.to_string()), Some((channel.to_owned(), identity.clone())));
        Ok(Value { text: subject.to_string(), shown: identity, typed: typed.to_owned() })
    }

    /// A name that others choose: any is taken, and one that nobody used yet is remarked on.
    fn name(&self, typed: &str, budgets: &Budgets, named: &mut Named) -> Value {
        let name = Name::clean(typed);
        if let Some(known) = budgets.names().find(|known| fold(known) == fold(&name)) {
            return Value::of(known);
        }
        let is_seen = self.metering.picture().names().find(&name).is_some();
        let is_served = self.providers.iter().any(|provider| provider.model() == &*name);
        if !is_seen && !is_served {
            named.remark = Some(BudgetRemark::NotSeen);
        }
        Value::of(&name)
    }
}

/// One of the names there are.
fn known<'a>(
    typed: &PrivateText,
    names: impl IntoIterator<Item = &'a str> + Clone,
) -> Result<Value, BudgetMistakeView> {
    let folded = fold(typed);
    match names.clone().into_iter().find(|name| fold(name) == folded) {
        Some(name) => Ok(Value::of(name)),
        None => {
            let suggestion = nearest(&folded, names).map(str::to_owned);
            Err(BudgetMistakeView { suggestion, ..BudgetMistakeView::new("unknown", typed.clone()) })
        }
    }
}
