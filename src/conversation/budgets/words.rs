//! The words of budgets in four languages, folded: lower case, without accents.

use crate::limits::{Facet, Measure, Span};

/// What is to be done, before it is known to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Unlimited,
    Raise,
    Pause,
    GoOn,
    Stop,
    Mute,
    Remove,
}

pub(super) fn facet(folded: &str) -> Option<Facet> {
    Some(match folded {
        "provider" | "proveedor" | "provedor" | "fournisseur" => Facet::Provider,
        "model" | "modelo" | "modele" => Facet::Model,
        "user" | "person" | "usuario" | "persona" | "pessoa" | "utilisateur" | "utilisatrice" | "personne" => {
            Facet::User
        }
        "team" | "group" | "equipo" | "equipe" | "grupo" | "groupe" => Facet::Team,
        "feature" | "funcion" | "funcao" | "fonction" => Facet::Feature,
        "key" | "clave" | "llave" | "chave" | "cle" => Facet::Key,
        "channel" | "canal" => Facet::Channel,
        _ => return None,
    })
}

/// Everybody and everything at once.
pub(super) fn is_everything(folded: &str) -> bool {
    matches!(folded, "everything" | "all" | "total" | "todo" | "todos" | "tudo" | "tout" | "tous")
}

/// Everybody who is not named.
pub(super) fn is_guests(folded: &str) -> bool {
    matches!(folded, "guests" | "guest" | "invitados" | "convidados" | "invites" | "visitantes" | "visiteurs")
}

pub(super) fn measure(folded: &str) -> Option<Measure> {
    Some(match folded {
        "$" | "usd" | "us$" | "$us" | "dollar" | "dollars" | "dolar" | "dolares" | "money" | "dinero" | "dinheiro"
        | "argent" => Measure::Money,
        "tokens" | "token" | "jetons" | "jeton" => Measure::Tokens,
        "requests" | "request" | "calls" | "solicitudes" | "solicitud" | "peticiones" | "peticion" | "requisicoes"
        | "requisicao" | "pedidos" | "pedido" | "requetes" | "requete" | "demandes" => Measure::Requests,
        _ => return None,
    })
}

pub(super) fn span(folded: &str) -> Option<Span> {
    Some(match folded {
        "minute" | "minutes" | "min" | "minuto" => Span::Minute,
        "day" | "daily" | "today" | "dia" | "diario" | "diaria" | "diarios" | "hoy" | "hoje" | "jour"
        | "journalier" | "quotidien" | "aujourd'hui" => Span::Day,
        "week" | "weekly" | "semana" | "semanal" | "semanales" | "semanais" | "semaine" | "hebdomadaire" => Span::Week,
        "month" | "monthly" | "mes" | "mensual" | "mensuales" | "mensal" | "mensais" | "mois" | "mensuel" => {
            Span::Month
        }
        "prepaid" | "prepago" | "prepagado" | "pre-pago" | "prepaye" | "prepayee" => Span::Prepaid,
        _ => return None,
    })
}

pub(super) fn verb(folded: &str) -> Option<Verb> {
    Some(match folded {
        "unlimited" | "ilimitado" | "ilimitada" | "ilimitados" | "illimite" | "illimitee" => Verb::Unlimited,
        "raise" | "increase" | "sube" | "subir" | "aumenta" | "aumentar" | "aumente" | "suba" | "augmente"
        | "augmenter" | "monte" | "releve" | "relever" => Verb::Raise,
        "pause" | "pausa" | "pausar" | "pausez" | "suspend" | "suspende" | "suspender" | "suspendre" => Verb::Pause,
        "resume" | "go" | "continue" | "reanuda" | "reanudar" | "sigue" | "seguir" | "continua" | "continuar"
        | "retoma" | "retomar" | "siga" | "segue" | "reprends" | "reprendre" | "continuer" => Verb::GoOn,
        "stop" | "block" | "deten" | "detener" | "bloquea" | "bloquear" | "bloqueia" | "pare" | "parar" | "arrete"
        | "arreter" | "bloque" | "bloquer" => Verb::Stop,
        "mute" | "silencia" | "silenciar" | "silencio" | "calla" | "callar" | "silence" | "sourdine" | "muet" => {
            Verb::Mute
        }
        "remove" | "delete" | "quita" | "quitar" | "elimina" | "eliminar" | "borra" | "borrar" | "remover"
        | "retira" | "retirar" | "apaga" | "apagar" | "retire" | "retirer" | "supprime" | "supprimer" | "enleve"
        | "enlever" => Verb::Remove,
        _ => return None,
    })
}

/// What `k`, `M` and such words say of the number before them.
pub(super) fn times(folded: &str) -> Option<u64> {
    Some(match folded {
        "k" | "mil" | "mille" | "thousand" => 1_000,
        "m" | "million" | "millions" | "millon" | "millones" | "milhao" | "milhoes" => 1_000_000,
        _ => return None,
    })
}

/// Words that say nothing of their own.
pub(super) fn is_filler(folded: &str) -> bool {
    matches!(
        folded,
        "a" | "al"
            | "an"
            | "au"
            | "by"
            | "cada"
            | "chaque"
            | "de"
            | "des"
            | "each"
            | "el"
            | "em"
            | "en"
            | "every"
            | "for"
            | "la"
            | "le"
            | "o"
            | "of"
            | "par"
            | "para"
            | "per"
            | "por"
            | "pour"
            | "set"
            | "the"
            | "to"
    )
}
