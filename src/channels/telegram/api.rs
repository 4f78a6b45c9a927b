//! The calls we make to the Bot API, and what their failures mean. The token is in no error, log or `Debug`.
//!
//! The requests and types are teloxide's; the transport is our own, because theirs sleeps within a failed call, takes a
//! message that was sent for a failure when it cannot read all of the answer, and prints URLs, which hold the token.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::body::{Frame, SizeHint};
use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use teloxide_core::payloads::{
    AnswerCallbackQuery, AnswerCallbackQuerySetters, DeleteWebhook, EditMessageReplyMarkup, EditMessageText,
    EditMessageTextSetters, GetFile, GetMe, SendChatAction, SendChatActionSetters, SendMessage, SendMessageSetters,
};
use teloxide_core::requests::Payload;
use teloxide_core::types::{
    CallbackQueryId, ChatAction, ChatId, FileId, InlineKeyboardMarkup, LinkPreviewOptions, MessageId, ParseMode,
    Recipient, ReplyParameters, ThreadId,
};

use super::failure::{Failure, Refused};
use super::spot::Spot;

/// How long a call may take, beside the time a poll waits.
const CALL_SECS: u64 = 30;
const CONNECT_SECS: u64 = 10;

/// An answer of the Bot API is not read beyond this. A hundred updates are far less.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// What we want to be told of. Said in each call: Telegram remembers what was said last, by whomever.
const ALLOWED_UPDATES: [&str; 4] = ["message", "edited_message", "callback_query", "my_chat_member"];

/// The Bot API, for one bot.
#[derive(Clone)]
pub struct Api {
    client: Client,
    methods: Url,
    files: Url,
}

/// The bot's own account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Me {
    /// Its id.
    pub id: i64,
    /// Its name as in `@name`.
    #[serde(default)]
    pub username: String,
}

/// A text as it is sent.
#[derive(Clone, Copy)]
pub(super) struct Words<'a> {
    pub(super) text: &'a str,
    /// It is HTML.
    pub(super) html: bool,
}

/// A call that shows something in one chat.
#[derive(Clone, Copy)]
pub(super) enum Show<'a> {
    /// A new message.
    Send { words: Words<'a>, keyboard: Option<&'a InlineKeyboardMarkup>, reply_to: Option<i32> },
    /// A text and a keyboard, or none, in place of what a message shows.
    Edit { message: i32, words: Words<'a>, keyboard: Option<&'a InlineKeyboardMarkup> },
    /// A message without its buttons. [`Failure::NotModified`] says that it has none.
    TakeButtons { message: i32 },
    /// `typing…`
    Typing,
    /// A text that grows until a message is sent. Newer than teloxide.
    Draft { id: u64, text: &'a str },
}

/// One update as it came, read as far as its id.
pub(super) struct RawUpdate {
    pub(super) id: u32,
    pub(super) json: Box<RawValue>,
}

#[derive(Deserialize)]
struct Answer<T> {
    result: Option<T>,
}

#[derive(Deserialize)]
struct Sent {
    message_id: i32,
}

#[derive(Deserialize)]
struct FilePath {
    file_path: Option<String>,
}

#[derive(Deserialize)]
struct UpdateHead {
    update_id: u32,
}

impl Api {
    /// The Bot API at `url`, for the bot of `token`.
    ///
    /// # Errors
    /// When the URL is none, or the system has no sockets to make a client of.
    pub fn new(token: &SecretString, url: &str) -> Result<Api, Failure> {
        let base = Url::parse(url).map_err(|_| Failure::Broken)?;
        let below = |first: &[&str]| {
            let mut url = base.clone();
            url.path_segments_mut().ok()?.pop_if_empty().extend(first).push(&format!("bot{}", token.expose_secret()));
            Some(url)
        };
        let (methods, files) = (below(&[]).ok_or(Failure::Broken)?, below(&["file"]).ok_or(Failure::Broken)?);
        let client = Client::builder().connect_timeout(Duration::from_secs(CONNECT_SECS)).tcp_nodelay(true);
        let is_here = base.host_str().is_some_and(|host| host == "localhost" || host.starts_with("127."));
        let client = if is_here { client.no_proxy() } else { client };
        let client = client.redirect(reqwest::redirect::Policy::none()).build().map_err(|_| Failure::Broken)?;
        Ok(Api { client, methods, files })
    }

    pub(super) async fn me(&self) -> Result<Me, Failure> {
        self.typed(&GetMe::new()).await
    }

    /// The updates from `offset` on, which confirms all before it.
    pub(super) async fn updates(&self, offset: Option<i64>, wait_secs: u64) -> Result<Vec<RawUpdate>, Failure> {
        let mut body = json!({"timeout": wait_secs, "limit": 100, "allowed_updates": ALLOWED_UPDATES});
        if let Some(offset) = offset {
            body["offset"] = offset.into();
        }
        let updates: Vec<Box<RawValue>> = self.call("getUpdates", &body, wait_secs, None).await?;
        Ok(updates.into_iter().filter_map(RawUpdate::read).collect())
    }

    pub(super) async fn delete_webhook(&self) -> Result<(), Failure> {
        self.typed::<_, Value>(&DeleteWebhook::new()).await.map(drop)
    }

    pub(super) async fn set_webhook(&self, url: &str, secret: &str) -> Result<(), Failure> {
        let body = json!({"url": url, "secret_token": secret, "allowed_updates": ALLOWED_UPDATES});
        self.call::<Value>("setWebhook", &body, 0, None).await.map(drop)
    }

    /// Shows something; gives the id of the message, if it is a new one. `leaving` is called when it goes out.
    pub(super) async fn show(&self, spot: Spot, show: Show<'_>, leaving: Leaving) -> Result<Option<i32>, Failure> {
        match show {
            Show::Send { words, keyboard, reply_to } => {
                let message = message(spot, words, keyboard, reply_to);
                let sent: Sent = self.call(SendMessage::NAME, &message, 0, leaving).await?;
                return Ok(Some(sent.message_id));
            }
            Show::Edit { message, words, keyboard } => {
                let edit = edit(spot, message, words, keyboard);
                self.call::<Value>(EditMessageText::NAME, &edit, 0, leaving).await?;
            }
            Show::TakeButtons { message } => {
                let edit = EditMessageReplyMarkup::new(chat(spot), MessageId(message));
                self.call::<Value>(EditMessageReplyMarkup::NAME, &edit, 0, leaving).await?;
            }
            Show::Typing => {
                let action = SendChatAction::new(chat(spot), ChatAction::Typing);
                let in_topic = |thread| action.clone().message_thread_id(ThreadId(MessageId(thread)));
                self.typed::<_, Value>(&spot.thread.map_or_else(|| action.clone(), in_topic)).await?;
            }
            Show::Draft { id, text } => {
                let body =
                    json!({"chat_id": spot.chat, "message_thread_id": spot.thread, "draft_id": id, "text": text});
                self.call::<Value>("sendMessageDraft", &body, 0, None).await?;
            }
        }
        Ok(None)
    }

    /// Answers the press of a button, with a short text for who pressed it.
    pub(super) async fn acknowledge(&self, press: &str, text: Option<&str>) -> Result<(), Failure> {
        let mut answer = AnswerCallbackQuery::new(CallbackQueryId(press.to_owned()));
        if let Some(text) = text {
            answer = answer.text(text.chars().take(200).collect::<String>());
        }
        self.typed::<_, Value>(&answer).await.map(drop)
    }

    /// A file a person sent, if it is not larger than `max_bytes`.
    pub(super) async fn file(&self, id: &str, max_bytes: usize) -> Result<Bytes, Failure> {
        let file: FilePath = self.typed(&GetFile::new(FileId(id.to_owned()))).await?;
        let mut url = self.files.clone();
        let path = file.file_path.ok_or(Failure::Broken)?;
        // A path such as `photos/file_1.jpg`; nothing in it leads out of the bot's files.
        let parts = path.split('/').filter(|part| !part.is_empty() && *part != "..");
        url.path_segments_mut().map_err(|()| Failure::Broken)?.extend(parts);
        let answer = self.client.get(url).timeout(Duration::from_secs(CALL_SECS)).send().await?;
        if !answer.status().is_success() {
            return Err(Failure::from(Refused::status(answer.status().as_u16())));
        }
        read(answer, max_bytes).await
    }

    pub(super) async fn set_commands(&self, body: &Value) -> Result<(), Failure> {
        self.call::<Value>("setMyCommands", body, 0, None).await.map(drop)
    }

    async fn typed<P: Payload + Serialize, T: DeserializeOwned>(&self, payload: &P) -> Result<T, Failure> {
        self.call(P::NAME, payload, 0, None).await
    }

    /// One call. `wait_secs` is how long the server waits by itself before it answers; `leaving` is called when it goes out.
    async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        body: &(impl Serialize + ?Sized),
        wait_secs: u64,
        leaving: Leaving,
    ) -> Result<T, Failure> {
        let mut url = self.methods.clone();
        url.path_segments_mut().map_err(|()| Failure::Broken)?.push(method);
        let body = serde_json::to_vec(body).map_err(|_| Failure::Broken)?;
        let request = self.client.post(url).timeout(Duration::from_secs(CALL_SECS + wait_secs));
        let request = request.header(http::header::CONTENT_TYPE, "application/json");
        let request = request.body(reqwest::Body::wrap(Outgoing { body: Some(body.into()), leaving }));
        let answer = request.send().await?;
        let status = answer.status();
        let body = read(answer, MAX_ANSWER_BYTES).await?;
        if !status.is_success() {
            return Err(Failure::from(Refused::read(status.as_u16(), &body)));
        }
        let answer: Answer<T> = serde_json::from_slice(&body).map_err(|_| Failure::Broken)?;
        answer.result.ok_or(Failure::Broken)
    }
}

/// Called when a call goes out, if somebody wants to know.
pub(super) type Leaving = Option<Box<dyn FnOnce() + Send + Sync>>;

/// The body of a call. It is asked for when the connection stands and just before it is written, which is the last moment
/// to note that it is on its way.
struct Outgoing {
    body: Option<Bytes>,
    leaving: Leaving,
}

impl hyper::body::Body for Outgoing {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let body = self.body.take();
        if let (Some(_), Some(leaving)) = (&body, self.leaving.take()) {
            leaving();
        }
        Poll::Ready(body.map(|body| Ok(Frame::data(body))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.body.as_ref().map_or(0, |body| body.len() as u64))
    }
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("host", &self.methods.host_str()).finish_non_exhaustive()
    }
}

impl RawUpdate {
    /// `None` for what has no id: nothing can be done about it, not even confirm it.
    pub(super) fn read(json: Box<RawValue>) -> Option<RawUpdate> {
        let head: UpdateHead = serde_json::from_str(json.get()).ok()?;
        Some(RawUpdate { id: head.update_id, json })
    }
}

async fn read(mut answer: reqwest::Response, max_bytes: usize) -> Result<Bytes, Failure> {
    let mut body = BytesMut::new();
    while let Some(piece) = answer.chunk().await? {
        if body.len() + piece.len() > max_bytes {
            return Err(Failure::TooLarge);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

fn chat(spot: Spot) -> Recipient {
    Recipient::Id(ChatId(spot.chat))
}

fn message(
    spot: Spot,
    words: Words<'_>,
    keyboard: Option<&InlineKeyboardMarkup>,
    reply_to: Option<i32>,
) -> SendMessage {
    let mut message = SendMessage::new(chat(spot), words.text).link_preview_options(no_preview());
    if words.html {
        message = message.parse_mode(ParseMode::Html);
    }
    if let Some(thread) = spot.thread {
        message = message.message_thread_id(ThreadId(MessageId(thread)));
    }
    if let Some(keyboard) = keyboard {
        message = message.reply_markup(keyboard.clone());
    }
    if let Some(id) = reply_to {
        message = message.reply_parameters(ReplyParameters::new(MessageId(id)).allow_sending_without_reply());
    }
    message
}

fn edit(spot: Spot, message: i32, words: Words<'_>, keyboard: Option<&InlineKeyboardMarkup>) -> EditMessageText {
    let mut edit = EditMessageText::new(chat(spot), MessageId(message), words.text).link_preview_options(no_preview());
    if words.html {
        edit = edit.parse_mode(ParseMode::Html);
    }
    if let Some(keyboard) = keyboard {
        edit = edit.reply_markup(keyboard.clone());
    }
    edit
}

fn no_preview() -> LinkPreviewOptions {
    LinkPreviewOptions {
        is_disabled: true,
        url: None,
        prefer_small_media: false,
        prefer_large_media: false,
        show_above_text: false,
    }
}
