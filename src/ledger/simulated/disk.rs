//! A disk in memory that keeps what POSIX promises and nothing more: what was not synced is, at a crash, kept, dropped,
//! torn or kept without what came before it; names are durable once their folder was synced. It refuses and lies on
//! demand. Everything it decides comes from a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::chance::Chance;
use crate::ledger::disk::{Access, Disk, DiskFile};

const SECTOR: usize = 512;

/// Something the disk is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Write,
    SetLength,
    Sync,
    Create,
    Rename,
    SyncFolder,
    Read,
}

/// What a disk leaves out on purpose, as a ledger would that forgot it: the checks must see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sabotage {
    /// Acknowledges what was never synced.
    NoSync,
    /// Begins files without syncing their folder.
    NoFolderSync,
    /// Leaves torn ends as they are.
    NoCut,
    /// Goes on after a failed sync as if nothing had been.
    SyncErrorsIgnored,
    /// Writes each line twice.
    LinesTwice,
}

/// A disk; clones are the same one.
#[derive(Clone)]
pub(super) struct SimDisk(Arc<Mutex<World>>);

struct World {
    /// Names as processes see them, and as they are on the disk.
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    name_changes: Vec<NameChange>,
    folders: BTreeSet<PathBuf>,
    files: Vec<Content>,
    chance: Chance,
    /// Refuse the n-th such request from now (0 is the next).
    refusals: Vec<(Request, u64)>,
    /// Bytes that still fit.
    room: Option<u64>,
    /// How many requests until the process dies in the middle of one.
    life: Option<u64>,
    /// Processes are numbered: those that died do nothing any more.
    alive: u64,
    requests: u64,
    sabotage: Option<Sabotage>,
}

#[derive(Default)]
struct Content {
    /// As processes see it.
    seen: Vec<u8>,
    durable: Vec<u8>,
    /// What a sync would make durable.
    changes: Vec<Change>,
}

enum Change {
    Write(u64, Vec<u8>),
    SetLength(u64),
}

enum NameChange {
    Set(PathBuf, usize),
    Move(PathBuf, PathBuf, usize),
    Remove(PathBuf),
}

impl NameChange {
    fn is_in(&self, folder: &Path) -> bool {
        let (NameChange::Set(path, _) | NameChange::Move(_, path, _) | NameChange::Remove(path)) = self;
        path.parent() == Some(folder)
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            NameChange::Set(path, file) => drop(names.insert(path.clone(), *file)),
            NameChange::Move(from, to, file) => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
            NameChange::Remove(path) => drop(names.remove(path)),
        }
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Write(offset, bytes) => overwrite(content, *offset, bytes),
            Change::SetLength(length) => content.resize(*length as usize, 0),
        }
    }

    /// What is left of a change that was on its way when the power went.
    fn survive(&self, chance: &mut Chance, content: &mut Vec<u8>) {
        match (chance.below(4), self) {
            (0, _) => {}
            (1, Change::Write(offset, bytes)) => {
                // Torn at a byte.
                let kept = chance.below(bytes.len() as u64 + 1) as usize;
                overwrite(content, *offset, &bytes[..kept]);
            }
            (2, Change::Write(offset, bytes)) => {
                // Some sectors, in no order.
                let (start, end) = (*offset as usize, *offset as usize + bytes.len());
                for sector in start / SECTOR..=end / SECTOR {
                    let (from, to) = (start.max(sector * SECTOR), end.min((sector + 1) * SECTOR));
                    if from < to && chance.one_in(2) {
                        overwrite(content, from as u64, &bytes[from - start..to - start]);
                    }
                }
            }
            _ => self.apply(content),
        }
    }
}

fn overwrite(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let (start, end) = (offset as usize, offset as usize + bytes.len());
    if content.len() < end && !bytes.is_empty() {
        content.resize(end, 0);
    }
    if !bytes.is_empty() {
        content[start..end].copy_from_slice(bytes);
    }
}

fn refused() -> io::Error {
    io::Error::from_raw_os_error(5)
}

fn full() -> io::Error {
    io::Error::from_raw_os_error(28)
}

impl SimDisk {
    pub(super) fn new(seed: u64) -> SimDisk {
        SimDisk(Arc::new(Mutex::new(World {
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            name_changes: Vec::new(),
            folders: BTreeSet::new(),
            files: Vec::new(),
            chance: Chance::of(seed),
            refusals: Vec::new(),
            room: None,
            life: None,
            alive: 0,
            requests: 0,
            sabotage: None,
        })))
    }

    pub(super) fn sabotaged(self, sabotage: Sabotage) -> SimDisk {
        self.world().sabotage = Some(sabotage);
        self
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().expect("nobody panics while holding it")
    }

    /// The disk as one process sees it: from the next one on, this one is dead.
    pub(super) fn process(&self) -> Arc<dyn Disk> {
        let mut world = self.world();
        world.alive += 1;
        world.life = None;
        Arc::new(View { disk: self.clone(), process: world.alive })
    }

    /// Another pair of eyes of the same process.
    pub(super) fn same_process(&self) -> Arc<dyn Disk> {
        Arc::new(View { disk: self.clone(), process: self.world().alive })
    }

    /// Decides everything from here on.
    pub(super) fn reseed(&self, seed: u64) {
        self.world().chance = Chance::of(seed);
    }

    /// Refuses the n-th such request from now; a refused sync lies from then on.
    pub(super) fn refuse(&self, request: Request, after: u64) {
        self.world().refusals.push((request, after));
    }

    /// Lets this many bytes be added, then no more.
    pub(super) fn limit_room(&self, bytes: u64) {
        self.world().room = Some(bytes);
    }

    /// Takes and keeps everything again.
    pub(super) fn behave(&self) {
        let mut world = self.world();
        world.refusals.clear();
        world.room = None;
    }

    /// The process dies in the middle of its n-th request from now.
    pub(super) fn die_after(&self, requests: u64) {
        self.world().life = Some(requests);
    }

    /// Whether the process died.
    pub(super) fn is_dead(&self) -> bool {
        self.world().life == Some(0)
    }

    pub(super) fn requests(&self) -> u64 {
        self.world().requests
    }

    /// Ends the process; what it wrote stays to be seen.
    pub(super) fn kill(&self) {
        self.world().life = Some(0);
    }

    /// Takes the power away: what was not synced survives as it may.
    pub(super) fn crash(&self) {
        let mut guard = self.world();
        let World { names, durable_names, name_changes, files, chance, .. } = &mut *guard;
        // A journaling file system keeps names in order; POSIX does not say so.
        let in_order = chance.one_in(2);
        let first_lost = chance.below(name_changes.len() as u64 + 1) as usize;
        for (n, change) in name_changes.drain(..).enumerate() {
            if if in_order { n < first_lost } else { chance.one_in(2) } {
                change.apply(durable_names);
            }
        }
        names.clone_from(durable_names);
        for file in files {
            match chance.below(4) {
                0 => {}
                1 => file.changes.iter().for_each(|change| change.apply(&mut file.durable)),
                _ => file.changes.iter().for_each(|change| change.survive(chance, &mut file.durable)),
            }
            file.changes.clear();
            file.seen.clone_from(&file.durable);
        }
        guard.life = Some(0);
    }
}

impl World {
    fn take_refusal(&mut self, request: Request) -> bool {
        let mut refuse = false;
        self.refusals.retain_mut(|(kind, after)| {
            if *kind != request {
                return true;
            }
            let now = *after == 0;
            refuse |= now;
            *after = after.saturating_sub(1);
            !now
        });
        refuse
    }

    /// How many of these bytes, added at the end, still fit.
    fn fitting(&mut self, bytes: u64) -> u64 {
        let Some(room) = &mut self.room else { return bytes };
        let fitting = bytes.min(*room);
        *room -= fitting;
        fitting
    }

    fn write(&mut self, file: usize, bytes: &[u8], offset: u64) {
        let content = &mut self.files[file];
        overwrite(&mut content.seen, offset, bytes);
        if !bytes.is_empty() {
            content.changes.push(Change::Write(offset, bytes.to_vec()));
        }
    }
}

/// One process's disk.
struct View {
    disk: SimDisk,
    process: u64,
}

impl View {
    /// Counts a request; the error is what a dead process or a refusing disk gives.
    fn begin(&self, request: Request) -> io::Result<MutexGuard<'_, World>> {
        begin(&self.disk, self.process, request).map_err(|(_, error)| error)
    }

    fn file(&self, file: usize) -> Arc<dyn DiskFile> {
        Arc::new(SimFile { disk: self.disk.clone(), process: self.process, file })
    }
}

/// On error also whether the process died just now, in the middle of this request.
fn begin(disk: &SimDisk, process: u64, request: Request) -> Result<MutexGuard<'_, World>, (bool, io::Error)> {
    let mut world = disk.world();
    if world.alive != process || world.life == Some(0) {
        return Err((false, refused()));
    }
    if request != Request::Read {
        world.requests += 1;
        if let Some(life) = &mut world.life {
            *life -= 1;
            if *life == 0 {
                return Err((true, refused()));
            }
        }
    }
    if world.take_refusal(request) { Err((false, refused())) } else { Ok(world) }
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk for View {
    fn open(&self, path: &Path, _: Access) -> io::Result<Arc<dyn DiskFile>> {
        let world = self.begin(Request::Read)?;
        let file = world.names.get(path).copied().ok_or_else(not_found)?;
        drop(world);
        Ok(self.file(file))
    }

    fn create_new(&self, path: &Path, _: Access) -> io::Result<Arc<dyn DiskFile>> {
        let mut world = self.begin(Request::Create)?;
        if world.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = world.files.len();
        world.files.push(Content::default());
        world.names.insert(path.to_owned(), file);
        world.name_changes.push(NameChange::Set(path.to_owned(), file));
        drop(world);
        Ok(self.file(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.begin(Request::Rename)?;
        let file = world.names.remove(from).ok_or_else(not_found)?;
        world.names.insert(to.to_owned(), file);
        world.name_changes.push(NameChange::Move(from.to_owned(), to.to_owned(), file));
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.begin(Request::Create)?;
        let file = world.names.get(from).copied().ok_or_else(not_found)?;
        if world.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        world.names.insert(to.to_owned(), file);
        world.name_changes.push(NameChange::Set(to.to_owned(), file));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut world = self.begin(Request::Rename)?;
        world.names.remove(path).ok_or_else(not_found)?;
        world.name_changes.push(NameChange::Remove(path.to_owned()));
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let world = self.begin(Request::Read)?;
        if !world.folders.contains(folder) {
            return Err(not_found());
        }
        let inside = world.names.keys().filter(|path| path.parent() == Some(folder));
        Ok(inside.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect())
    }

    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        // Folders are durable at once: that they are is not the ledger's to see to.
        self.begin(Request::Read)?.folders.insert(folder.to_owned());
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let begun = self.begin(Request::SyncFolder);
        let mut guard = match begun {
            Ok(world) => world,
            Err(error) => {
                let mut world = self.disk.world();
                if world.life != Some(0) && world.alive == self.process {
                    // Refused: these names count as synced from now on, and are not.
                    world.name_changes.retain(|change| !change.is_in(folder));
                }
                return Err(error);
            }
        };
        if guard.sabotage == Some(Sabotage::NoFolderSync) {
            return Ok(());
        }
        let World { durable_names, name_changes, .. } = &mut *guard;
        for change in name_changes.extract_if(.., |change| change.is_in(folder)) {
            change.apply(durable_names);
        }
        Ok(())
    }
}

struct SimFile {
    disk: SimDisk,
    process: u64,
    file: usize,
}

impl SimFile {
    fn begin(&self, request: Request) -> io::Result<MutexGuard<'_, World>> {
        begin(&self.disk, self.process, request).map_err(|(_, error)| error)
    }

    /// Writes as much as the disk, or the process's life, allows.
    fn write(&self, bytes: &[u8], offset: Option<u64>) -> io::Result<()> {
        let begun = begin(&self.disk, self.process, Request::Write);
        let (mut world, cut) = match begun {
            Ok(world) => (world, None),
            Err((false, error)) if self.disk.is_dead() => return Err(error),
            Err((_, error)) => (self.disk.world(), Some(error)),
        };
        if world.alive != self.process {
            return Err(refused());
        }
        let length = world.files[self.file].seen.len() as u64;
        let offset = offset.unwrap_or(length);
        if let Some(error) = cut {
            let kept = world.chance.below(bytes.len() as u64 + 1) as usize;
            world.write(self.file, &bytes[..kept], offset);
            return Err(error);
        }
        let added = (offset + bytes.len() as u64).saturating_sub(length);
        let fitting = bytes.len() as u64 - added + world.fitting(added);
        world.write(self.file, &bytes[..fitting as usize], offset);
        if fitting < bytes.len() as u64 { Err(full()) } else { Ok(()) }
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let world = self.begin(Request::Read)?;
        let content = &world.files[self.file].seen;
        let rest = content.get(offset as usize..).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write(bytes, Some(offset))
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        if self.disk.world().sabotage == Some(Sabotage::LinesTwice) {
            self.write(bytes, None)?;
        }
        self.write(bytes, None)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut world = self.begin(Request::SetLength)?;
        let is_cut = (length as usize) < world.files[self.file].seen.len();
        if is_cut && world.sabotage == Some(Sabotage::NoCut) {
            return Ok(());
        }
        let content = &mut world.files[self.file];
        content.seen.resize(length as usize, 0);
        content.changes.push(Change::SetLength(length));
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.begin(Request::Read)?.files[self.file].seen.len() as u64)
    }

    fn sync(&self) -> io::Result<()> {
        let begun = begin(&self.disk, self.process, Request::Sync);
        let mut guard = match begun {
            Ok(world) => world,
            Err((_, error)) => {
                let mut world = self.disk.world();
                if world.life != Some(0) && world.alive == self.process {
                    // Refused: some of it got there; the rest counts as clean from now on, and is lost at a crash.
                    let World { files, chance, .. } = &mut *world;
                    let content = &mut files[self.file];
                    let changes = std::mem::take(&mut content.changes);
                    changes.iter().for_each(|change| change.survive(chance, &mut content.durable));
                    if world.sabotage == Some(Sabotage::SyncErrorsIgnored) {
                        return Ok(());
                    }
                }
                return Err(error);
            }
        };
        if guard.sabotage == Some(Sabotage::NoSync) {
            return Ok(());
        }
        let content = &mut guard.files[self.file];
        for change in std::mem::take(&mut content.changes) {
            change.apply(&mut content.durable);
        }
        Ok(())
    }

    fn reserve(&self, _: u64, bytes: u64) -> io::Result<()> {
        let world = self.begin(Request::Write)?;
        if world.room.is_some_and(|room| room < bytes) { Err(full()) } else { Ok(()) }
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        Ok(self.begin(Request::Read)?.names.get(path) == Some(&self.file))
    }
}
