//! A program that wraps its own HTTP client, so that its model calls are in the books:
//! `cargo run --example metered_client [FOLDER [URL]]`, where URL is that of an OpenAI-compatible API.
//!
//! `tallybot stats --data-dir FOLDER` shows the call. While a tallybot runs on the folder, its gateway is the door instead.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::path::Path;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tallybot::config::Config;
use tallybot::metering::MeteringLayer;
use tallybot::models::Kind;
use tower::{ServiceBuilder, ServiceExt};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "data".to_owned());
    let url = arguments.next().unwrap_or_else(|| "http://127.0.0.1:11434/v1".to_owned());

    let books = tallybot::app::open_books(&Config::default(), Path::new(&folder)).await?;
    let metering = books.metering().context("a tallybot holds this folder: send the calls through its gateway")?;
    let layer = MeteringLayer::new(metering.clone(), "ollama", Kind::OpenAi).local().feature("example");
    let client = ServiceBuilder::new().layer(layer).service(Client::builder(TokioExecutor::new()).build_http());

    let question = r#"{"model":"llama3.2","messages":[{"role":"user","content":"Say hello in one word."}]}"#;
    let request = http::Request::post(format!("{url}/chat/completions"))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(question)))?;
    let answer = client.oneshot(request).await.context("the provider does not answer; the attempt is recorded")?;
    let (status, body) = (answer.status(), answer.into_body().collect().await?.to_bytes());
    println!("{status}: {} bytes", body.len());
    books.close()
}
