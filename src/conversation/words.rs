//! Words as people type them, in any of the four languages, all folded: what they stand for, and how near two are.

use super::commands::Switch;
use crate::reports::View;
use crate::stats::Period;
use crate::templates::{Lang, fold};

/// The period a folded word stands for: `hoy`, `aujourd'hui`, `7d`, `month`, …
pub(super) fn period(folded: &str) -> Option<Period> {
    Some(match folded {
        "today" | "day" | "1d" | "24h" | "hoy" | "dia" | "hoje" | "aujourd'hui" | "aujourdhui" | "jour" => {
            Period::Today
        }
        "week" | "7d" | "7" | "semana" | "semaine" | "7j" => Period::Week,
        "month" | "30d" | "30" | "mes" | "mois" | "30j" => Period::Month,
        "all" | "total" | "everything" | "todo" | "tudo" | "tout" => Period::All,
        _ => return None,
    })
}

/// The view a folded word stands for: `models`, `limites`, …
pub(super) fn view(folded: &str) -> Option<View> {
    Some(match folded {
        "overview" | "summary" | "resumen" | "resumo" | "resume" => View::Overview,
        "models" | "model" | "modelos" | "modelo" | "modeles" | "modele" => View::Models,
        "types" | "type" | "tipos" | "tipo" => View::Types,
        "limits" | "limit" | "limites" | "limite" => View::Limits,
        "users" | "user" | "people" | "usuarios" | "usuario" | "personas" | "pessoas" | "utilisateurs"
        | "utilisateur" | "personnes" => View::Users,
        _ => return None,
    })
}

/// On or off.
pub(super) fn switch(folded: &str) -> Option<Switch> {
    match folded {
        "on" | "yes" | "si" | "sim" | "oui" | "encendido" | "ligado" | "active" => Some(Switch::On),
        "off" | "no" | "nao" | "non" | "apagado" | "desligado" | "desactive" => Some(Switch::Off),
        _ => None,
    }
}

/// What is asked about photos that come without a word.
pub(super) fn what_is_seen(lang: Lang) -> &'static str {
    match lang {
        Lang::En => "What do you see here?",
        Lang::Es => "¿Qué se ve aquí?",
        Lang::Pt => "O que aparece aqui?",
        Lang::Fr => "Que voit-on ici ?",
    }
}

/// Whether a folded word confirms what was asked.
pub(super) fn confirms(folded: &str) -> bool {
    matches!(folded, "confirm" | "confirmar" | "confirmo" | "confirmer" | "confirme")
}

/// Whether a folded text says yes or no to what was asked; `None` when it says something else.
pub(super) fn agrees(folded: &str) -> Option<bool> {
    match folded.trim_end_matches(['.', '!']) {
        "no" | "nao" | "non" | "cancel" | "cancela" | "cancelar" | "cancele" | "annule" | "annuler" => Some(false),
        "yes" | "ok" | "si" | "sim" | "oui" => Some(true),
        word => confirms(word).then_some(true),
    }
}

/// Whether a folded word after `stats` asks for a reset (`/raymundo stats reiniciar`).
pub(super) fn resets(folded: &str) -> bool {
    matches!(folded, "reset" | "reiniciar" | "zerar" | "reinitialiser")
}

/// Whether a folded word after a reset takes the last one back.
pub(super) fn undoes(folded: &str) -> bool {
    matches!(folded, "undo" | "deshacer" | "anular" | "desfazer" | "annuler")
}

/// The number of single-letter changes and swaps of neighbours between two short words; `None` above `most`.
pub fn distance(a: &str, b: &str, most: usize) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > most {
        return None;
    }
    let (mut before, mut above): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..=b.len()).collect());
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut cost = (above[j] + usize::from(x != y)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                cost = cost.min(before[j - 1] + 1);
            }
            row.push(cost);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().filter(|found| *found <= most)
}

/// The name that was probably meant by a folded word: one that begins so, or is a letter or two away.
pub fn nearest<'a>(folded: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const MOST: usize = 2;
    let near = |name: &'a str| {
        let known = fold(name);
        let begins = folded.len() >= 3 && (known.starts_with(folded) || folded.starts_with(&known));
        let steps = if begins { Some(0) } else { distance(folded, &known, MOST) };
        steps.map(|steps| (steps, name))
    };
    names.into_iter().filter_map(near).min_by_key(|(steps, _)| *steps).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_changes_and_swaps() {
        assert_eq!(distance("stats", "stats", 2), Some(0));
        assert_eq!(distance("satts", "stats", 2), Some(1));
        assert_eq!(distance("stat", "stats", 2), Some(1));
        assert_eq!(distance("hlep", "help", 2), Some(1));
        assert_eq!(distance("model", "help", 2), None);
    }
}
