//! Words a person may type, in any of the four languages; case, accents and the kind of apostrophe do not matter.
//!
//! Knows no command's meaning: it only says which of the canonical names a word stands for.

use serde::{Deserialize, Serialize};

/// A span of time that numbers are asked for. Calendar days, today included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Period {
    /// Today.
    #[serde(rename = "today")]
    Today,
    /// Today and the six days before.
    #[serde(rename = "7d")]
    Week,
    /// Today and the 29 days before.
    #[serde(rename = "30d")]
    Month,
    /// Since counting began (the last reset).
    #[default]
    #[serde(rename = "all")]
    All,
}

impl Period {
    /// Every period, shortest first.
    pub const ALL: [Period; 4] = [Period::Today, Period::Week, Period::Month, Period::All];

    /// The canonical name, as in `?period=`.
    pub fn as_str(self) -> &'static str {
        match self {
            Period::Today => "today",
            Period::Week => "7d",
            Period::Month => "30d",
            Period::All => "all",
        }
    }
}

/// A view of the `/stats` screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// Everything that matters, on one screen.
    #[default]
    Overview,
    /// One block per model.
    Models,
    /// One line per request type.
    Types,
    /// One block per limit.
    Limits,
}

impl View {
    /// Every view.
    pub const ALL: [View; 4] = [View::Overview, View::Models, View::Types, View::Limits];

    /// The canonical name.
    pub fn as_str(self) -> &'static str {
        match self {
            View::Overview => "overview",
            View::Models => "models",
            View::Types => "types",
            View::Limits => "limits",
        }
    }
}

/// The period a word stands for: `hoy`, `Aujourd'hui`, `7d`, `month`, …
pub fn period(text: &str) -> Option<Period> {
    let period = match fold(text).as_str() {
        "today" | "day" | "1d" | "24h" | "hoy" | "dia" | "hoje" | "aujourd'hui" | "aujourdhui" | "jour" => {
            Period::Today
        }
        "week" | "7d" | "7" | "semana" | "semaine" | "7j" => Period::Week,
        "month" | "30d" | "30" | "mes" | "mois" | "30j" => Period::Month,
        "all" | "total" | "everything" | "todo" | "todos" | "tudo" | "tout" => Period::All,
        _ => return None,
    };
    Some(period)
}

/// The view a word stands for: `models`, `límites`, …
pub fn view(text: &str) -> Option<View> {
    let view = match fold(text).as_str() {
        "overview" | "summary" | "resumen" | "resumo" | "resume" => View::Overview,
        "models" | "model" | "modelos" | "modelo" | "modeles" | "modele" => View::Models,
        "types" | "type" | "tipos" | "tipo" => View::Types,
        "limits" | "limit" | "limites" | "limite" => View::Limits,
        _ => return None,
    };
    Some(view)
}

/// The canonical name of the command a word stands for, with or without its slash: `/estadísticas` is `stats`.
pub fn command(text: &str) -> Option<&'static str> {
    let folded = fold(text);
    let name = match folded.strip_prefix('/').unwrap_or(&folded) {
        "help" | "start" | "ayuda" | "ajuda" | "aide" => "help",
        "stats" | "status" | "estadisticas" | "estado" | "estatisticas" | "statistiques" | "etat" => "stats",
        "model" | "models" | "modelo" | "modelos" | "modele" | "modeles" => "model",
        "new" | "nuevo" | "nueva" | "novo" | "nova" | "nouveau" | "nouvelle" => "new",
        "retry" | "reintentar" | "repetir" | "reessayer" => "retry",
        "cancel" | "stop" | "cancelar" | "annuler" => "cancel",
        "usage" | "uso" | "consumo" | "consommation" => "usage",
        "cost" | "costo" | "coste" | "custo" | "cout" => "cost",
        "lang" | "language" | "idioma" | "langue" => "lang",
        "id" => "id",
        "reset_stats" | "reiniciar" | "reiniciar_stats" | "zerar" | "reinitialiser" => "reset_stats",
        "quit" | "exit" | "bye" | "salir" | "sair" | "quitter" => "quit",
        _ => return None,
    };
    Some(name)
}

/// Whether a word means on (`Some(true)`) or off (`Some(false)`).
pub fn switch(text: &str) -> Option<bool> {
    match fold(text).as_str() {
        "on" | "yes" | "si" | "sim" | "oui" | "encendido" | "ligado" | "active" => Some(true),
        "off" | "no" | "nao" | "non" | "apagado" | "desligado" | "desactive" => Some(false),
        _ => None,
    }
}

/// Whether a word confirms what was asked.
pub fn confirms(text: &str) -> bool {
    matches!(fold(text).as_str(), "confirm" | "confirmar" | "confirmo" | "confirmer" | "confirme")
}

/// Whether a word, after the bot's name, asks for a reset (`/raymundo stats reiniciar`).
pub fn resets(text: &str) -> bool {
    matches!(fold(text).as_str(), "reset" | "reiniciar" | "zerar" | "reinitialiser")
}

/// A word as it is compared: trimmed, lower case, without accents, with a straight apostrophe.
pub fn fold(text: &str) -> String {
    text.trim().chars().flat_map(char::to_lowercase).filter_map(fold_char).collect()
}

fn fold_char(c: char) -> Option<char> {
    let plain = match c {
        'á' | 'à' | 'â' | 'ã' | 'ä' => 'a',
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'í' | 'ì' | 'î' | 'ï' => 'i',
        'ó' | 'ò' | 'ô' | 'õ' | 'ö' => 'o',
        'ú' | 'ù' | 'û' | 'ü' => 'u',
        'ç' => 'c',
        'ñ' => 'n',
        '’' | '‘' | '´' | '`' | 'ʼ' => '\'',
        '\u{300}'..='\u{36f}' => return None, // accents written as characters of their own
        other => other,
    };
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_in_four_languages() {
        let table = [
            ("hoy", Some(Period::Today)),
            ("Aujourd’hui", Some(Period::Today)),
            ("AUJOURD'HUI", Some(Period::Today)),
            ("semana", Some(Period::Week)),
            ("mês", Some(Period::Month)),
            ("me\u{302}s", Some(Period::Month)),
            ("30d", Some(Period::Month)),
            ("tudo", Some(Period::All)),
            ("yesterday", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(period(text), expected, "{text}");
        }
        for known in Period::ALL {
            assert_eq!(period(known.as_str()), Some(known));
        }
    }

    #[test]
    fn commands_views_and_switches_in_four_languages() {
        assert_eq!(command("/Estadísticas"), Some("stats"));
        assert_eq!(command("coût"), Some("cost"));
        assert_eq!(command("raymundo"), None);
        assert_eq!(view("Límites"), Some(View::Limits));
        assert_eq!(view("modèles"), Some(View::Models));
        assert_eq!((switch("sí"), switch("não"), switch("maybe")), (Some(true), Some(false), None));
        assert!(confirms("Confirmar") && !confirms("ok"));
        assert!(resets("réinitialiser"));
        for known in View::ALL {
            assert_eq!(view(known.as_str()), Some(known));
        }
    }
}
