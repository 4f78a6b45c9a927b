//! The Telegram channel and its conversation, put together.

use std::sync::Arc;

use futures_util::future::Either;
use http::{Method, Request, Response as HttpResponse, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::mpsc;

use super::{App, random};
use crate::channels::telegram::{
    Api, FILE_NAME, Hook, Hooked, MAX_BODY_BYTES, Menu, SECRET_HEADER, Source, Streaming, Telegram, Verdict, hook,
    introduce,
};
use crate::config::{Telegram as TelegramConfig, TelegramStreaming};
use crate::conversation::driver::{Driver, Outgoing, Parts};
use crate::conversation::{Answering, BotNames, COMMANDS, CancelToken, Event, Place, TemplateRenderer, Who};
use crate::http::{Handler, RequestBody, Response, read_body};
use crate::templates::{CommandHelp, Lang, Surface};

use super::alerts::Chats;
use super::desk::Desk;

impl App {
    /// Runs the channel, if there is one, until `stop` and what is left to say is said. That it cannot go on ends
    /// nothing else.
    pub(super) async fn telegram(
        &self,
        parts: Parts<Answering, Desk, TemplateRenderer>,
        hooked: Option<Hooked>,
        chats: Chats,
        stop: CancelToken,
    ) {
        let Some(config) = &self.config.telegram else { return };
        let Some(token) = &config.token else { return };
        let api = match Api::new(token, &config.api_url) {
            Ok(api) => api,
            Err(error) => return tracing::error!(%error, "Telegram cannot be used"),
        };
        let Some(me) = introduce(&api, &stop).await else { return };
        tracing::info!(bot = %me.username, "Telegram knows the bot");
        self.desk.door.introduce(&me.username);
        let names = BotNames { name: self.config.bot_name.clone(), handles: vec![me.username.clone()] };
        let conversation = self.conversation(Place::Chat, names.clone(), self.config.language);
        let renderer = Arc::new((*parts.renderer).clone().on(Surface::Telegram));
        let parts = Parts { renderer: Arc::clone(&renderer), ..parts };
        let (events, from_channel) = mpsc::channel::<Event>(super::run::CHANNEL_ROOM);
        let (to_channel, outgoing) = mpsc::channel::<Outgoing>(super::run::CHANNEL_ROOM);
        // Held weakly: what the channel is told ends with its driver.
        chats.send_replace(Some(to_channel.downgrade()));
        let driver = Driver::new(conversation, parts, Arc::clone(&self.clock), to_channel);
        let channel = Telegram {
            api,
            me,
            names,
            door: Arc::clone(&self.desk.door),
            renderer,
            language: self.config.language,
            streaming: streaming(config),
            menus: self.menus(),
            admins: config.admins.clone(),
            source: hooked.map_or(Source::Polling, Source::Webhook),
            inbox: self.desk.folder.join(FILE_NAME),
            clock: Arc::clone(&self.clock),
            nonce: nonce(),
            events,
            outgoing,
        };
        let (ended, ()) = tokio::join!(channel.run(stop.clone()), driver.run(from_channel, stop));
        if let Err(error) = ended {
            tracing::error!(%error, "Telegram is off: the account of its updates cannot be kept");
        }
    }

    /// The commands as the apps show them, first in the owner's language.
    fn menus(&self) -> Vec<Menu> {
        let owner = self.config.language;
        let langs = std::iter::once(owner).chain(Lang::ALL.into_iter().filter(|lang| *lang != owner));
        let menu = |lang: Lang| {
            let offered = |admin: bool| {
                let specs = COMMANDS.iter().filter(move |spec| {
                    spec.listed && spec.place != Some(Place::Console) && (admin || spec.who == Who::Everyone)
                });
                let help =
                    |name: &str| self.desk.templates.commands(lang).iter().find(|help| help.name == name).cloned();
                let row = |help: CommandHelp| (help.name.clone(), help.description_on(Surface::Telegram).to_owned());
                specs.filter_map(|spec| help(spec.name).map(row)).collect()
            };
            Menu { lang, everyone: offered(false), admins: offered(true) }
        };
        langs.map(menu).collect()
    }

    /// Both ends of the webhook and its path, if updates are to be posted.
    pub(super) fn webhook(&self) -> (Option<Webhook>, Option<Hooked>) {
        let config = self.config.telegram.as_ref().filter(|config| config.token.is_some());
        let Some((url, config)) = config.and_then(|config| Some((config.webhook_url.as_ref()?, config))) else {
            return (None, None);
        };
        let secret = config.webhook_secret.clone().unwrap_or_else(random_secret);
        let (hook, hooked) = hook(url, secret.expose_secret());
        let path = url.parse::<http::Uri>().map(|uri| uri.path().to_owned()).unwrap_or_default();
        (Some(Webhook { path: path.into(), hook }), Some(hooked))
    }
}

fn streaming(config: &TelegramConfig) -> Streaming {
    match config.streaming {
        TelegramStreaming::Edits => Streaming::Edits,
        TelegramStreaming::Drafts => Streaming::Drafts,
        TelegramStreaming::Off => Streaming::Off,
    }
}

fn nonce() -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&random()[..4]);
    u32::from_le_bytes(bytes)
}

fn random_secret() -> SecretString {
    SecretString::from(data_encoding::HEXLOWER.encode(&[random(), random()].concat()))
}

/// The route that Telegram posts to.
#[derive(Clone)]
pub(super) struct Webhook {
    path: Arc<str>,
    hook: Hook,
}

/// The REST routes, and the webhook beside them: its secret is its own, and its host is what Telegram was told.
#[derive(Clone)]
pub(super) struct WithWebhook<H> {
    pub(super) webhook: Option<Webhook>,
    pub(super) rest: H,
}

impl<H: Handler> Handler for WithWebhook<H> {
    fn handle(
        &self,
        request: Request<RequestBody>,
        peer: std::net::SocketAddr,
    ) -> impl Future<Output = Response> + Send {
        match &self.webhook {
            Some(webhook) if request.uri().path() == &*webhook.path => Either::Left(webhook.answer(request)),
            _ => Either::Right(self.rest.handle(request, peer)),
        }
    }
}

impl Webhook {
    async fn answer(&self, request: Request<RequestBody>) -> Response {
        if request.method() != Method::POST {
            return empty(StatusCode::METHOD_NOT_ALLOWED);
        }
        let secret = request.headers().get(SECRET_HEADER).map(|secret| secret.as_bytes().to_vec());
        if !self.hook.knows(secret.as_deref()) {
            return empty(StatusCode::UNAUTHORIZED);
        }
        let Ok(body) = read_body(request.into_body(), MAX_BODY_BYTES).await else {
            return empty(StatusCode::PAYLOAD_TOO_LARGE);
        };
        empty(match self.hook.take(secret.as_deref(), &body).await {
            Verdict::Taken => StatusCode::OK,
            Verdict::WrongSecret => StatusCode::UNAUTHORIZED,
            Verdict::NotAnUpdate => StatusCode::BAD_REQUEST,
            Verdict::Later => StatusCode::SERVICE_UNAVAILABLE,
        })
    }
}

fn empty(status: StatusCode) -> Response {
    let mut response = HttpResponse::new(axum::body::Body::empty());
    *response.status_mut() = status;
    response
}
