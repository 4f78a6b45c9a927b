//! What our buttons say when they are pressed: a few bytes that Telegram gives back. They are no secret and can be
//! forged, so whoever acts on them asks first who presses.

use crate::conversation::{AlertAct, JobId};
use crate::reports::View;
use crate::stats::Period;

/// What buttons of this version begin with.
const VERSION: &str = "t1";

/// A button of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Button {
    /// Shows a screen of the stats.
    Stats(Screen),
    /// Shows the same screen with the numbers of now.
    Refresh(Screen),
    /// Asks whether to reset.
    ResetAsk {
        /// Who may press it.
        asker: u64,
    },
    /// Resets.
    ResetConfirm {
        /// Who may press it.
        asker: u64,
    },
    /// Leaves everything as it is.
    ResetCancel {
        /// Who may press it.
        asker: u64,
    },
    /// Does something about the budget of an alert.
    Alert {
        /// The alert's id.
        id: u64,
        /// What.
        act: AlertAct,
    },
    /// Stops an answer.
    Stop {
        /// Which one, of this process: compare the chat too.
        job: JobId,
    },
}

/// One screen of the stats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// The numeric id of who asked for it.
    pub asker: u64,
    /// Of when.
    pub period: Period,
    /// Of what.
    pub view: View,
}

/// Why a press means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    /// The button was made by another version.
    #[error("the button was made by another version of this bot")]
    OtherVersion,
    /// We never made such a button.
    #[error("the button is none of this bot's")]
    Foreign,
}

impl Button {
    /// Its `callback_data`.
    pub fn encode(self) -> String {
        match self {
            Button::Stats(screen) => format!("{VERSION}:s:{}", screen.encode()),
            Button::Refresh(screen) => format!("{VERSION}:r:{}", screen.encode()),
            Button::ResetAsk { asker } => format!("{VERSION}:ra:{asker}"),
            Button::ResetConfirm { asker } => format!("{VERSION}:ry:{asker}"),
            Button::ResetCancel { asker } => format!("{VERSION}:rn:{asker}"),
            Button::Alert { id, act } => format!("{VERSION}:{}:{id:016x}", alert_letters(act)),
            Button::Stop { job } => format!("{VERSION}:x:{}", job.0),
        }
    }

    /// The button of a `callback_data`.
    ///
    /// # Errors
    /// If no button of this version has it.
    pub fn decode(data: &str) -> Result<Button, NotOurs> {
        let (version, rest) = data.split_once(':').ok_or(NotOurs::Foreign)?;
        if version != VERSION {
            let number = version.strip_prefix('t').filter(|number| !number.is_empty() && number.len() <= 3);
            let is_other = number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()));
            return Err(if is_other { NotOurs::OtherVersion } else { NotOurs::Foreign });
        }
        let button = Button::read(rest).ok_or(NotOurs::Foreign)?;
        // One button, one form: what we would not have written is none of ours.
        if button.encode() == data { Ok(button) } else { Err(NotOurs::Foreign) }
    }

    fn read(text: &str) -> Option<Button> {
        let (kind, rest) = text.split_once(':')?;
        Some(match kind {
            "s" => Button::Stats(Screen::read(rest)?),
            "r" => Button::Refresh(Screen::read(rest)?),
            "ra" => Button::ResetAsk { asker: rest.parse().ok()? },
            "ry" => Button::ResetConfirm { asker: rest.parse().ok()? },
            "rn" => Button::ResetCancel { asker: rest.parse().ok()? },
            "br" => Button::Alert { id: hex(rest)?, act: AlertAct::Raise },
            "bs" => Button::Alert { id: hex(rest)?, act: AlertAct::Stop },
            "bm" => Button::Alert { id: hex(rest)?, act: AlertAct::Mute },
            "x" => Button::Stop { job: JobId(rest.parse().ok()?) },
            _ => return None,
        })
    }
}

fn alert_letters(act: AlertAct) -> &'static str {
    match act {
        AlertAct::Raise => "br",
        AlertAct::Stop => "bs",
        AlertAct::Mute => "bm",
    }
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

impl Screen {
    fn encode(self) -> String {
        format!("{}:{}:{}", self.period.as_str(), self.view.as_str(), self.asker)
    }

    fn read(text: &str) -> Option<Screen> {
        let (period, rest) = text.split_once(':')?;
        let (view, asker) = rest.split_once(':')?;
        Some(Screen {
            asker: asker.parse().ok()?,
            period: Period::parse(period)?,
            view: View::ALL.into_iter().find(|known| known.as_str() == view)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn every_button(number: u64) -> Vec<Button> {
        let screens = Period::ALL.into_iter().flat_map(|period| View::ALL.map(|view| (period, view)));
        let screens = screens.map(|(period, view)| Screen { asker: number, period, view });
        let stats = screens.flat_map(|screen| [Button::Stats(screen), Button::Refresh(screen)]);
        let others = [
            Button::ResetAsk { asker: number },
            Button::ResetConfirm { asker: number },
            Button::ResetCancel { asker: number },
            Button::Stop { job: JobId(number) },
        ];
        let alerts = AlertAct::ALL.map(|act| Button::Alert { id: number, act });
        stats.chain(others).chain(alerts).collect()
    }

    #[test]
    fn every_button_comes_back_and_fits() {
        for number in [0, 1, 123_456_789, 999_999_999_999, u64::MAX] {
            let mut seen = std::collections::HashSet::new();
            for button in every_button(number) {
                let data = button.encode();
                assert!((1..=64).contains(&data.len()), "Telegram takes no more than 64 bytes: {data}");
                assert_eq!(Button::decode(&data), Ok(button), "{data}");
                assert!(seen.insert(data), "two buttons say the same");
            }
        }
    }

    #[test]
    fn the_form_does_not_change_within_a_version() {
        let screen = Screen { asker: 42, period: Period::Week, view: View::Models };
        assert_eq!(Button::Stats(screen).encode(), "t1:s:7d:models:42");
        assert_eq!(Button::Refresh(screen).encode(), "t1:r:7d:models:42");
        assert_eq!(Button::ResetConfirm { asker: 42 }.encode(), "t1:ry:42");
        assert_eq!(Button::Stop { job: JobId(7) }.encode(), "t1:x:7");
        assert_eq!(Button::Alert { id: 0xa1, act: AlertAct::Raise }.encode(), "t1:br:00000000000000a1");
    }

    #[test]
    fn what_is_not_ours_is_refused_with_its_reason() {
        for data in ["t0:s:7d:models:42", "t2:whatever", "t12:"] {
            assert_eq!(Button::decode(data), Err(NotOurs::OtherVersion), "{data}");
        }
        for data in [
            "",
            ":",
            "t1",
            "t1:",
            "t1:s",
            "t1:s:7d:models",
            "t1:s:7d:models:",
            "t1:s:7d:models:042",
            "t1:s:7d:models:+4",
            "t1:s:7d:models:-4",
            "t1:s:8d:models:42",
            "t1:s:7d:all:42",
            "t1:s:7d:models:42:1",
            "t1:ry:",
            "t1:ry:4 ",
            "t1:x:99999999999999999999999",
            "T1:x:4",
            "t:x:4",
            "t1234:x:4",
            "s1:p=7:v=m",
            "tx:1",
            "t1:zz:4",
        ] {
            assert_eq!(Button::decode(data), Err(NotOurs::Foreign), "{data}");
        }
    }

    proptest! {
        #[test]
        fn whatever_decodes_is_what_we_wrote(data in "(t[0-9]:)?[a-z]{0,3}(:[0-9a-z]{0,8}){0,4}") {
            if let Ok(button) = Button::decode(&data) {
                prop_assert_eq!(button.encode(), data);
            }
        }

        #[test]
        fn no_text_breaks_it(data in any::<String>()) {
            let _ = Button::decode(&data);
        }
    }
}
