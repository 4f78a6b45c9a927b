//! Every mistake that the seeds found, as the fewest steps that showed it.

use std::path::Path;

use uuid::Uuid;

use super::disk::{Request, SimDisk};
use super::model;
use super::steps::{Happens, Step};
use crate::ledger::files::DataFolder;
use crate::ledger::journal::Syncing;
use crate::ledger::tests::options;
use crate::ledger::{Durability, Ledger};
use crate::usage::arbitrary::BASE_MICROS;
use crate::usage::{RecordId, Timestamp, UsageRecord};

fn holds(seed: u64, steps: &[(Happens, u64)]) {
    let steps: Vec<Step> = steps.iter().map(|(happens, chance)| Step { happens: *happens, chance: *chance }).collect();
    model::run(seed, &steps).unwrap_or_else(|problem| panic!("{problem}"));
}

fn append(records: u64) -> Happens {
    Happens::Append { records, given: None }
}

#[test]
fn lines_whose_sync_failed_and_that_a_restart_read_survive_a_power_cut() {
    holds(
        1,
        &[
            (append(3), 11_426_030_083_068_036_068),
            (Happens::Refuse(Request::Sync, 0), 15_090_054_588_401_425_688),
            (Happens::Sync, 406_134_896_046_871_403),
            (Happens::Kill, 15_187_860_788_684_657_031),
            (append(1), 1),
        ],
    );
}

#[test]
fn a_file_whose_name_did_not_become_durable_is_not_in_the_way() {
    let refuse = Happens::Refuse(Request::SyncFolder, 0);
    holds(26, &[(Happens::Sync, 1), (refuse, 1), (append(3), 1), (Happens::Behave, 1), (append(1), 1)]);
}

#[test]
fn a_reset_that_a_restart_read_survives_a_power_cut() {
    holds(
        380,
        &[
            (Happens::Kill, 1_529_477_002_267_355_538),
            (append(1), 15_394_260_399_124_011_501),
            (Happens::Reset, 4_296_168_866_628_307_549),
            (append(2), 1_114_643_463_663_477_245),
        ],
    );
}

#[test]
fn lines_of_three_days_written_again_count_once() {
    let day = Happens::Clock(86_400);
    for durability in [0, 1] {
        holds(
            durability,
            &[
                (append(1), 1),
                (day, 1),
                (append(1), 1),
                (day, 1),
                (append(1), 1),
                (Happens::Refuse(Request::Sync, 0), 1),
                (Happens::Sync, 1),
                (Happens::Sync, 1),
                (Happens::Kill, 1),
            ],
        );
    }
}

#[test]
fn a_start_after_a_second_try_that_was_cut_off_gives_no_number_twice() {
    holds(
        243,
        &[
            (append(2), 1),
            (Happens::Snapshot, 1),
            (append(9), 1),
            (Happens::Refuse(Request::Sync, 0), 1),
            (Happens::Sync, 1),
            (Happens::DieAfter(7), 1),
            (Happens::Sync, 1),
            (Happens::Close, 1),
            (append(2), 1),
        ],
    );
}

#[test]
fn lines_after_a_restart_do_not_stand_in_a_file_whose_name_is_lost() {
    holds(
        8383,
        &[
            (append(2), 6_098_501_414_706_387_998),
            (Happens::DieAfter(11), 3_996_529_901_355_282_446),
            (append(2), 610_459_987_199_415_561),
            (Happens::Append { records: 2, given: Some(4) }, 18_355_891_064_370_804_797),
            (append(1), 12_019_993_838_275_959_981),
            (append(1), 16_587_951_983_019_020_990),
            (Happens::Sync, 11_498_654_084_532_882_803),
            (Happens::Clock(86_400), 15_299_883_032_774_336_845),
            (Happens::Refuse(Request::SyncFolder, 0), 6_792_594_401_080_674_750),
            (Happens::Queue, 7_825_585_072_806_686_411),
            (Happens::Queue, 8_664_305_680_870_433_702),
            (Happens::Snapshot, 15_778_199_741_598_376_396),
        ],
    );
}

#[test]
fn a_disk_that_stays_full_after_a_failed_sync_is_not_filled_with_files() {
    let (disk, at) = (SimDisk::new(1), Timestamp::new(BASE_MICROS, 0));
    let data = DataFolder::on(disk.process(), Path::new("data"));
    data.make().expect("a folder");
    let (ledger, _) =
        Ledger::open_locked(data.clone(), None, Syncing::ByHand, options(Durability::Power), Uuid::from_u128(1), at)
            .expect("it opens");
    let record = UsageRecord::new(RecordId::new(at, [1; 10]), at, "ollama".into(), "llama3.2".into());
    let appended = ledger.append(&record, at).expect("appended");
    disk.refuse(Request::Sync, 0);
    disk.limit_room(0);
    (0..50).for_each(|_| ledger.inner.journal.step_for_test());
    assert_eq!(data.journal_files().expect("listed").len(), 1, "no file of each try stays");
    disk.behave();
    (0..2).for_each(|_| ledger.inner.journal.step_for_test());
    assert!(ledger.inner.journal.done() >= appended, "the disk takes it at last");
    assert_eq!(data.journal_files().expect("listed").len(), 2);
}
