//! What a writer mends before its first append: damaged bytes are copied aside, the tail ends in a whole line.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::LedgerError;
use super::files;
use super::recovery::Loaded;
use super::replay::{Damage, DamageKind};

/// Damaged bytes kept per line of the quarantine file; longer damage takes several lines.
const CHUNK: usize = 64 * 1024;

#[derive(Serialize, Deserialize)]
struct Quarantined {
    offset: u64,
    bytes: u64,
    kind: String,
    /// The bytes themselves, base 64.
    content: String,
}

/// Puts new damage into quarantine and makes the newest file end in a whole line. Returns the newest file's length.
pub(super) fn mend(folder: &Path, loaded: &mut Loaded) -> Result<u64, LedgerError> {
    for damage in &loaded.damage {
        keep(folder, damage)?;
    }
    let Some(newest) = loaded.newest_file else { return Ok(0) };
    let path = newest.in_folder(folder);
    let file = OpenOptions::new().read(true).write(true).open(&path).map_err(LedgerError::io("open", &path))?;
    let length = file.metadata().map_err(LedgerError::io("read", &path))?.len();
    let mut good_end = match loaded.last {
        Some(last) if last.file == newest => last.offset,
        _ => 0,
    };
    let cut = length > good_end;
    if cut {
        file.set_len(good_end).map_err(LedgerError::io("cut the torn end of", &path))?;
    }
    if loaded.wants_newline {
        file.write_all_at(b"\n", good_end).map_err(LedgerError::io("append to", &path))?;
        good_end += 1;
        if let Some(last) = &mut loaded.last {
            last.offset = good_end;
        }
    }
    if cut || loaded.wants_newline {
        file.sync_all().map_err(LedgerError::io("sync", &path))?;
    }
    Ok(good_end)
}

/// Copies damaged bytes to `<file>.quarantine`, once.
fn keep(folder: &Path, damage: &Damage) -> Result<(), LedgerError> {
    let aside = folder.join(format!("{}.quarantine", damage.file));
    let known = files::read_if_there(&aside).map_err(LedgerError::io("read", &aside))?;
    let source_path = folder.join(&damage.file);
    let source = File::open(&source_path).map_err(LedgerError::io("open", &source_path))?;
    let mut first = vec![0; damage.bytes.min(CHUNK as u64) as usize];
    source.read_exact_at(&mut first, damage.offset).map_err(LedgerError::io("read", &source_path))?;
    let first = BASE64.encode(&first);
    let is_known = |line: &[u8]| {
        serde_json::from_slice::<Quarantined>(line)
            .is_ok_and(|kept| kept.offset == damage.offset && kept.content == first)
    };
    if known.split(|byte| *byte == b'\n').any(is_known) {
        return Ok(());
    }
    let mut out = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&aside)
        .map_err(LedgerError::io("open", &aside))?;
    let kind = if damage.kind == DamageKind::Torn { "torn" } else { "corrupt" };
    let mut done = 0;
    while done < damage.bytes {
        let mut content = vec![0; (damage.bytes - done).min(CHUNK as u64) as usize];
        source.read_exact_at(&mut content, damage.offset + done).map_err(LedgerError::io("read", &source_path))?;
        let kept = Quarantined {
            offset: damage.offset + done,
            bytes: content.len() as u64,
            kind: kind.to_owned(),
            content: BASE64.encode(&content),
        };
        let mut line = serde_json::to_vec(&kept).expect("plain data can be written");
        line.push(b'\n');
        out.write_all(&line).map_err(LedgerError::io("write", &aside))?;
        done += content.len() as u64;
    }
    out.sync_all().map_err(LedgerError::io("sync", &aside))
}
