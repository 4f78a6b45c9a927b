//! The conversation's buttons as Telegram shows them and gives their presses back.

use teloxide_core::types::{InlineKeyboardButton, InlineKeyboardMarkup};

use super::buttons::{Button as Data, Screen};
use crate::conversation::{Button, JobId, Keyboard, Press};

/// The buttons below a message; `None` for none.
pub(super) fn markup(keyboard: &Keyboard<Button>, nonce: u32) -> Option<InlineKeyboardMarkup> {
    let button = |button: &Button| InlineKeyboardButton::callback(button.label.clone(), write(&button.press, nonce));
    let rows: Vec<Vec<_>> =
        keyboard.iter().filter(|row| !row.is_empty()).map(|row| row.iter().map(button).collect()).collect();
    (!rows.is_empty()).then(|| InlineKeyboardMarkup::new(rows))
}

/// A press as the data of its button. The answers of this process are told from those of another by `nonce`.
fn write(press: &Press, nonce: u32) -> String {
    let data = match press {
        Press::Stats { period, view, asker } => {
            Data::Stats(Screen { asker: asker.parse().unwrap_or_default(), period: *period, view: *view })
        }
        Press::AskReset => Data::ResetAsk { asker: 0 },
        Press::ConfirmReset => Data::ResetConfirm { asker: 0 },
        Press::CancelReset => Data::ResetCancel { asker: 0 },
        Press::Stop(job) => Data::Stop { job: JobId(u64::from(nonce) << 32 | job.0 & u64::from(u32::MAX)) },
        Press::Alert { id, act } => match u64::from_str_radix(id, 16) {
            Ok(id) => Data::Alert { id, act: *act },
            Err(_) => return "-".to_owned(),
        },
        Press::Unknown => return "-".to_owned(),
    };
    data.encode()
}

/// What the data of a pressed button means.
pub(super) fn read(data: &str, nonce: u32) -> Press {
    match Data::decode(data) {
        Ok(Data::Stats(screen) | Data::Refresh(screen)) => {
            Press::Stats { period: screen.period, view: screen.view, asker: screen.asker.to_string() }
        }
        Ok(Data::ResetAsk { .. }) => Press::AskReset,
        Ok(Data::ResetConfirm { .. }) => Press::ConfirmReset,
        Ok(Data::ResetCancel { .. }) => Press::CancelReset,
        Ok(Data::Alert { id, act }) => Press::Alert { id: format!("{id:016x}"), act },
        Ok(Data::Stop { job }) if job.0 >> 32 == u64::from(nonce) => Press::Stop(JobId(job.0 & u64::from(u32::MAX))),
        Ok(Data::Stop { .. }) | Err(_) => Press::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::View;
    use crate::stats::Period;

    #[test]
    fn a_press_comes_back_as_what_it_meant_and_a_stop_only_in_its_own_process() {
        let stats = Press::Stats { period: Period::Week, view: View::Models, asker: "111".into() };
        let raise = Press::Alert { id: "00f3456789abcdef".into(), act: crate::conversation::AlertAct::Raise };
        for press in [stats, raise, Press::AskReset, Press::ConfirmReset, Press::CancelReset, Press::Stop(JobId(7))] {
            assert_eq!(read(&write(&press, 5), 5), press);
        }
        assert_eq!(read(&write(&Press::Stop(JobId(7)), 5), 6), Press::Unknown);
        for data in ["", "-", "x:1", "t1:zz:1"] {
            assert_eq!(read(data, 5), Press::Unknown);
        }
        let keyboard = vec![vec![], vec![Button { label: "Stop".into(), press: Press::Stop(JobId(1)) }]];
        assert_eq!(markup(&keyboard, 1).map(|markup| markup.inline_keyboard.len()), Some(1));
        assert_eq!(markup(&Vec::new(), 1), None);
    }
}
