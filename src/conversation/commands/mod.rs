//! What people can tell the bot to do: the commands, their table, and the parser of what they type.

mod command;
mod parse;
mod table;

pub use command::{Command, Switch};
pub use parse::{BotNames, Input, parse};
pub use table::{COMMANDS, CommandSpec, Place, Who};
pub(super) use table::{confirm_word, offered};
