//! What a writer mends before its first append: damaged bytes are copied aside, the tail ends in a whole line.

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::LedgerError;
use super::disk::Access;
use super::files::DataFolder;
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
pub(super) fn mend(data: &DataFolder, loaded: &mut Loaded) -> Result<u64, LedgerError> {
    for damage in &loaded.damage {
        keep(data, damage)?;
    }
    let Some(newest) = loaded.newest_file else { return Ok(0) };
    let file = data.open(newest, Access::Write).map_err(data.failed("open", newest))?;
    let length = file.length().map_err(data.failed("read", newest))?;
    let mut good_end = match loaded.last {
        Some(last) if last.file == newest => last.offset,
        _ => 0,
    };
    let cut = length > good_end;
    if cut {
        file.set_len(good_end).map_err(data.failed("cut the torn end of", newest))?;
    }
    if loaded.wants_newline {
        file.write_all_at(b"\n", good_end).map_err(data.failed("append to", newest))?;
        good_end += 1;
        if let Some(last) = &mut loaded.last {
            last.offset = good_end;
        }
    }
    if cut || loaded.wants_newline {
        file.sync().map_err(data.failed("sync", newest))?;
    }
    Ok(good_end)
}

/// Copies damaged bytes to `<file>.quarantine`, once.
fn keep(data: &DataFolder, damage: &Damage) -> Result<(), LedgerError> {
    let aside = format!("{}.quarantine", damage.file);
    let known = data.read_if_there(&aside).map_err(data.failed("read", &aside))?;
    let source = data.open(&damage.file, Access::Read).map_err(data.failed("open", &damage.file))?;
    let chunk_at = |offset: u64| {
        let mut content = vec![0; (damage.offset + damage.bytes - offset).min(CHUNK as u64) as usize];
        source.read_exact_at(&mut content, offset).map_err(data.failed("read", &damage.file))?;
        Ok::<_, LedgerError>(BASE64.encode(&content))
    };
    let first = chunk_at(damage.offset)?;
    let is_known = |line: &[u8]| {
        serde_json::from_slice::<Quarantined>(line)
            .is_ok_and(|kept| kept.offset == damage.offset && kept.content == first)
    };
    if known.split(|byte| *byte == b'\n').any(is_known) {
        return Ok(());
    }
    let out = data.open_or_create(&aside).map_err(data.failed("open", &aside))?;
    let kind = if damage.kind == DamageKind::Torn { "torn" } else { "corrupt" };
    let (mut done, mut end) = (0, known.len() as u64);
    while done < damage.bytes {
        let (offset, bytes) = (damage.offset + done, (damage.bytes - done).min(CHUNK as u64));
        let kept = Quarantined { offset, bytes, kind: kind.to_owned(), content: chunk_at(offset)? };
        let mut line = serde_json::to_vec(&kept).expect("plain data can be written");
        line.push(b'\n');
        out.write_all_at(&line, end).map_err(data.failed("write", &aside))?;
        end += line.len() as u64;
        done += bytes;
    }
    out.sync().map_err(data.failed("sync", &aside))
}
