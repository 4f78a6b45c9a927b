//! Pictures and files: what a bot sends, what it downloads, and how large they may be.

use serde_json::{Value, json};

use super::call::Call;
use super::methods::{Answered, bot_message, caption};
use super::refusal::Refusal;
use super::world::World;

const MAX_PHOTO: usize = 10 << 20;
const MAX_DOWNLOAD: usize = 20 << 20;
const MAX_SIDES: u64 = 10_000;
const MAX_RATIO: u64 = 20;

pub fn send_photo(world: &mut World, call: &Call) -> Answered {
    let caption = caption(world, call)?;
    let photo = match upload(call, "photo", "there is no photo in the request")? {
        Sent::File(_, bytes) => {
            let (width, height) = checked_size(&bytes)?;
            photo_json(world, bytes, (width, height))
        }
        Sent::Known(id) => {
            let file = world.files.get(&id).ok_or_else(wrong_file)?;
            let size = picture_size(&file.bytes).unwrap_or((90, 90));
            json!([size_json(&id, file.size, size)])
        }
    };
    let (chat, mut message) = bot_message(world, call, caption)?;
    message.media = json!({"photo": photo});
    Ok(world.show(chat, message))
}

pub fn send_document(world: &mut World, call: &Call) -> Answered {
    let caption = caption(world, call)?;
    let document = match upload(call, "document", "there is no document in the request")? {
        Sent::File(name, bytes) => document_json(world, &name, bytes, None),
        Sent::Known(id) => {
            let file = world.files.get(&id).ok_or_else(wrong_file)?;
            json!({"file_id": id, "file_unique_id": unique(&id), "file_size": file.size})
        }
    };
    let (chat, mut message) = bot_message(world, call, caption)?;
    message.media = json!({"document": document});
    Ok(world.show(chat, message))
}

pub fn get_file(world: &mut World, call: &Call) -> Answered {
    let id = call.text("file_id");
    if id.is_empty() {
        return Err(Refusal::bad("file_id not specified"));
    }
    let file = world.files.get(&id).ok_or_else(|| Refusal::bad("invalid file_id"))?;
    if file.size > MAX_DOWNLOAD {
        return Err(Refusal::bad("file is too big"));
    }
    Ok(json!({"file_id": id, "file_unique_id": unique(&id), "file_size": file.size, "file_path": file.path}))
}

/// The bytes behind a path that `getFile` gave.
pub fn download(world: &World, path: &str) -> Option<Vec<u8>> {
    let file = world.files.values().find(|file| file.path == path && file.size <= MAX_DOWNLOAD)?;
    Some(file.bytes.clone())
}

fn wrong_file() -> Refusal {
    Refusal::bad("wrong file identifier/HTTP URL specified")
}

enum Sent {
    /// A name and its bytes.
    File(String, Vec<u8>),
    /// The id of a file that is there already.
    Known(String),
}

/// A file in its own part, in a part that the parameter names (`attach://part`), or known from before.
fn upload(call: &Call, field: &str, missing: &str) -> Result<Sent, Refusal> {
    let named = call.text(field);
    let part = named.strip_prefix("attach://").unwrap_or(field);
    if let Some(file) = call.uploads.iter().find(|upload| upload.field == part) {
        if file.bytes.is_empty() {
            return Err(Refusal::bad("file must be non-empty"));
        }
        return Ok(Sent::File(file.file_name.clone(), file.bytes.clone()));
    }
    if named.is_empty() || named.starts_with("attach://") {
        return Err(Refusal::bad(missing));
    }
    Ok(Sent::Known(named))
}

fn checked_size(bytes: &[u8]) -> Result<(u64, u64), Refusal> {
    if bytes.len() > MAX_PHOTO {
        let what =
            format!("file of size {} bytes is too big for a photo; the maximum size is {MAX_PHOTO} bytes", bytes.len());
        return Err(Refusal::bad(what));
    }
    let (width, height) = picture_size(bytes).ok_or_else(|| Refusal::bad("IMAGE_PROCESS_FAILED"))?;
    let (short, long) = (width.min(height), width.max(height));
    if short == 0 || width + height > MAX_SIDES || long > short * MAX_RATIO {
        return Err(Refusal::bad("PHOTO_INVALID_DIMENSIONS"));
    }
    Ok((width, height))
}

/// Width and height of a PNG; a JPEG passes as 800 × 600.
pub fn picture_size(bytes: &[u8]) -> Option<(u64, u64)> {
    let number = |at: usize| Some(u64::from(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?)));
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some((number(16)?, number(20)?)),
        [0xff, 0xd8, 0xff, ..] => Some((800, 600)),
        _ => None,
    }
}

fn unique(id: &str) -> String {
    format!("AQAD{}", &id[id.len().saturating_sub(10)..])
}

fn size_json(id: &str, size: usize, (width, height): (u64, u64)) -> Value {
    json!({"file_id": id, "file_unique_id": unique(id), "file_size": size, "width": width, "height": height})
}

/// A photo in three sizes, smallest first; only the largest has the bytes that were sent.
pub fn photo_json(world: &mut World, bytes: Vec<u8>, (width, height): (u64, u64)) -> Value {
    let small = [(90, 67), (320, 240)].map(|size| {
        let id = world.keep_file("photos", "jpg", b"a small copy".to_vec(), 12);
        size_json(&id, 12, size)
    });
    let len = bytes.len();
    let id = world.keep_file("photos", "jpg", bytes, len);
    small.into_iter().chain([size_json(&id, len, (width, height))]).collect()
}

/// A file; its size may be said to be more than is there.
pub fn document_json(world: &mut World, name: &str, bytes: Vec<u8>, size: Option<usize>) -> Value {
    let size = size.unwrap_or(bytes.len());
    let ending = name.rsplit('.').next().unwrap_or("bin").to_owned();
    let id = world.keep_file("documents", &ending, bytes, size);
    json!({"file_id": id, "file_unique_id": unique(&id), "file_size": size, "file_name": name})
}
