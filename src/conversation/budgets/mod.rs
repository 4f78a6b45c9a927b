//! Budgets as people speak of them: what they type, and what they are told.

mod amount;
mod order;
mod parse;
mod view;
mod words;

pub use amount::{AmountProblem, Number};
pub use order::{BudgetAsk, BudgetMistake, BudgetOf, BudgetOrder, By, Deed, Misread};
pub(super) use parse::read;
pub use parse::read_cap;
pub use view::{BudgetChangedView, BudgetLine, BudgetMistakeView, BudgetRemark, BudgetsView};
