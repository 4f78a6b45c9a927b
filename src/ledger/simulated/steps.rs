//! What is done to a ledger, drawn from a seed.

use super::chance::Chance;
use super::disk::Request;

/// One thing that happens, and the seed of what the disk decides meanwhile.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) happens: Happens,
    pub(super) chance: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Happens {
    /// Some records, one of them perhaps with a given id.
    Append {
        records: u64,
        given: Option<u64>,
    },
    /// Some records that are accepted, for somebody to write all at once.
    Stage {
        records: u64,
        given: Option<u64>,
    },
    /// What is staged is written.
    Flush,
    /// A record that may wait for the disk.
    Queue,
    /// Takes the last record back.
    Void,
    /// A round of the sync thread.
    Sync,
    Snapshot,
    Reset,
    OpenCall,
    CloseCall,
    /// The clock moves by so many seconds.
    Clock(i64),
    /// The disk refuses such a request once.
    Refuse(Request, u64),
    /// The disk has room for so many bytes.
    Full(u64),
    /// The disk is well again.
    Behave,
    /// The process will die in the middle of that request from now.
    DieAfter(u64),
    /// The process dies now.
    Kill,
    /// The power goes now.
    PowerCut,
    /// The process ends in order.
    Close,
}

const REQUESTS: [Request; 7] = [
    Request::Write,
    Request::SetLength,
    Request::Sync,
    Request::Sync,
    Request::Create,
    Request::Rename,
    Request::SyncFolder,
];

/// The steps of a seed.
pub(super) fn of_seed(seed: u64) -> Vec<Step> {
    let mut chance = Chance::of(seed);
    let length = 12 + chance.below(40);
    let wild_clock = chance.one_in(3);
    (0..length).map(|_| Step { happens: draw(&mut chance, wild_clock), chance: chance.next() }).collect()
}

fn draw(chance: &mut Chance, wild_clock: bool) -> Happens {
    match chance.below(100) {
        0..20 => {
            let given = chance.one_in(4).then(|| chance.below(5));
            Happens::Append { records: 1 + chance.below(4), given }
        }
        20..30 => {
            let given = chance.one_in(6).then(|| chance.below(5));
            Happens::Stage { records: 1 + chance.below(6), given }
        }
        30..35 => Happens::Flush,
        35..39 => Happens::Queue,
        39..41 => Happens::Void,
        41..52 => Happens::Sync,
        52..58 => Happens::Snapshot,
        58..60 => Happens::Reset,
        60..65 => Happens::OpenCall,
        65..69 => Happens::CloseCall,
        69..75 => Happens::Clock(match chance.below(4) {
            0 if wild_clock => 365 * 86_400,
            1 if wild_clock => -86_400,
            2 => 86_400,
            _ => chance.below(7200) as i64,
        }),
        75..81 => Happens::Refuse(REQUESTS[chance.below(7) as usize], chance.below(3)),
        81..83 => Happens::Full(chance.below(2000)),
        83..86 => Happens::Behave,
        86..91 => Happens::DieAfter(1 + chance.below(14)),
        91..94 => Happens::Kill,
        94..98 => Happens::PowerCut,
        _ => Happens::Close,
    }
}
