//! The four languages, and how a person or a system names them.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::fold;

/// A language tallybot speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lang {
    /// English
    #[default]
    En,
    /// Spanish
    Es,
    /// Portuguese, as written in Brazil
    Pt,
    /// French
    Fr,
}

impl Lang {
    /// Every language, English (the reference) first.
    pub const ALL: [Lang; 4] = [Lang::En, Lang::Es, Lang::Pt, Lang::Fr];

    /// The two-letter code, which is also the folder of its templates.
    pub fn code(self) -> &'static str {
        match self {
            Lang::En => "en",
            Lang::Es => "es",
            Lang::Pt => "pt",
            Lang::Fr => "fr",
        }
    }

    /// The language's own name for itself.
    pub fn own_name(self) -> &'static str {
        match self {
            Lang::En => "English",
            Lang::Es => "español",
            Lang::Pt => "português",
            Lang::Fr => "français",
        }
    }

    /// Reads `es`, `es-MX`, `pt_BR.UTF-8`, or a language's name in any of the four languages.
    pub fn parse(text: &str) -> Option<Lang> {
        let folded = fold(text.trim());
        let code = folded.split(['-', '_', '.', '@']).next()?;
        let lang = match code {
            "en" | "english" | "ingles" | "anglais" => Lang::En,
            "es" | "spanish" | "espanol" | "espanhol" | "espagnol" | "castellano" => Lang::Es,
            "pt" | "portuguese" | "portugues" | "portugais" => Lang::Pt,
            "fr" | "french" | "frances" | "francais" => Lang::Fr,
            _ => return None,
        };
        Some(lang)
    }
}

impl fmt::Display for Lang {
    /// The two-letter code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Lang {
    /// From its two-letter code.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Lang, D::Error> {
        let code = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let lang = Lang::ALL.into_iter().find(|lang| lang.code() == code);
        lang.ok_or_else(|| D::Error::custom("expected a language such as `es`"))
    }
}

impl Serialize for Lang {
    /// As its two-letter code.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_regions_locales_and_names_are_understood() {
        let table = [
            ("es", Some(Lang::Es)),
            ("es-MX", Some(Lang::Es)),
            ("pt_BR", Some(Lang::Pt)),
            ("pt_BR.UTF-8", Some(Lang::Pt)),
            (" FR ", Some(Lang::Fr)),
            ("Français", Some(Lang::Fr)),
            ("inglés", Some(Lang::En)),
            ("de", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(Lang::parse(text), expected, "{text}");
        }
        for lang in Lang::ALL {
            assert_eq!(Lang::parse(lang.code()), Some(lang));
            assert_eq!(Lang::parse(lang.own_name()), Some(lang));
        }
    }
}
