//! What is said to the bot and what it answers: commands, sessions and `step(event) -> effects`.
//!
//! Pure but for the [`driver`], which runs effects, and [`Answering`], which calls models. Knows no channel, and but for
//! the rendering no template: it speaks in data, so that the terminal and Telegram hold the same conversation.

mod answering;
mod budgets;
mod buttons;
mod cancel;
mod commands;
pub mod driver;
mod history;
mod house;
mod message;
mod model_choice;
mod origin;
mod people;
mod refusing;
mod rendering;
mod reply;
mod session;
mod step;
mod words;

pub use answering::{Answering, choice_of};
pub use budgets::{
    AmountProblem, BudgetAsk, BudgetChangedView, BudgetLine, BudgetMistake, BudgetMistakeView, BudgetOf, BudgetOrder,
    BudgetRemark, BudgetsView, By, Deed, Misread, Number, read_cap,
};
pub use buttons::{AlertAct, Button, Key, Keyboard, Press, below_alert};
pub use cancel::{CancelReason, CancelToken};
pub use commands::{BotNames, COMMANDS, Command, CommandSpec, Input, Place, Switch, Who, parse};
pub use history::{Bounds, History, Role, Turn};
pub use house::{HealthView, LastError, ListedGroup, ListedPerson, ListedRole, PlaceHealth, ProviderHealth};
pub use message::{
    AlertDone, AnswerOutcome, CostView, HelpLine, Instead, LimitView, Message, ModelLine, Problem, ReceiptView,
};
pub use model_choice::{ModelChoice, ModelList, SilentProvider};
pub use origin::{MessageRef, Origin, Ticket};
pub use people::{ChatKey, Group, Person, Photo, PrivateText};
pub use rendering::TemplateRenderer;
pub use session::{Job, JobId, Question};
pub use step::{Conversation, Effect, Event, Request, Settings};
pub use words::nearest;

#[cfg(test)]
mod dialogues;
