//! The disk as the ledger sees it: the few things it does to files. Everything the ledger reads or writes goes through
//! here, so that tests can put a disk under it that forgets, tears, refuses and lies.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Looking.
    Read,
    /// Changing, at any place.
    Write,
    /// Adding at the end, wherever that is: what others may have put there is not written over.
    Append,
}

/// Folders of files. Nothing but a synced file in a synced folder is sure to be there after a power cut.
pub(super) trait Disk: Send + Sync {
    /// Opens a file that is there.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>>;
    /// Makes a new file, closed to others; an error if the name is taken.
    fn create_new(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>>;
    /// Gives a file another name, in place of whatever had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file a second name.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Takes a name away.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// The names in a folder, in no order.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;
    /// Makes a folder and its parents, closed to others, if it is not there.
    fn make_folder(&self, folder: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// An open file.
pub(super) trait DiskFile: Send + Sync {
    /// Reads from an offset; fewer bytes than asked for at the end, none behind it.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of it, with one call where the system takes it.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Adds at the end of a file opened for that, with one call where the system takes it.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts or extends.
    fn set_len(&self, length: u64) -> io::Result<()>;
    /// How long it is.
    fn length(&self) -> io::Result<u64>;
    /// Makes its content and length durable. After an error nobody knows what of it is.
    fn sync(&self) -> io::Result<()>;
    /// Makes sure that there is room behind its end, where the file system can say so.
    fn reserve(&self, offset: u64, bytes: u64) -> io::Result<()>;
    /// Whether it is still the one of that name.
    fn is_at(&self, path: &Path) -> io::Result<bool>;
}

impl dyn DiskFile {
    /// Fills the buffer; an error if the file ends before.
    pub(super) fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            let read = self.read_at(buffer, offset)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            buffer = &mut buffer[read..];
            offset += read as u64;
        }
        Ok(())
    }
}

/// A file read from an offset on.
pub(super) struct Reader {
    file: Arc<dyn DiskFile>,
    offset: u64,
}

impl Reader {
    pub(super) fn new(file: Arc<dyn DiskFile>, offset: u64) -> Reader {
        Reader { file, offset }
    }
}

impl io::Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let failed = |error: io::Error| io::Error::new(error.kind(), format!("at byte {}: {error}", self.offset));
        let read = self.file.read_at(buffer, self.offset).map_err(failed)?;
        self.offset += read as u64;
        Ok(read)
    }
}

/// The disk of this machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct RealDisk;

/// Options for a private file that must not be a link.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32);
    options
}

impl Disk for RealDisk {
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        // A reader may look through a link: it changes nothing.
        let file = match access {
            Access::Read => File::open(path)?,
            Access::Write => private().write(true).open(path)?,
            Access::Append => private().append(true).open(path)?,
        };
        Ok(Arc::new(file))
    }

    fn create_new(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = private();
        let options = if access == Access::Append { options.append(true) } else { options.write(true) };
        Ok(Arc::new(options.create_new(true).open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        // A name that is not UTF-8 is none of ours.
        let name = |entry: io::Result<fs::DirEntry>| entry.map(|entry| entry.file_name().into_string().ok());
        fs::read_dir(folder)?.map(name).filter_map(Result::transpose).collect()
    }

    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(folder)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }
}

impl DiskFile for File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match FileExt::read_at(self, buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(&mut &*self, bytes)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        File::set_len(self, length)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn reserve(&self, offset: u64, bytes: u64) -> io::Result<()> {
        match rustix::fs::fallocate(self, FallocateFlags::KEEP_SIZE, offset, bytes) {
            Ok(()) | Err(Errno::OPNOTSUPP) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        let own = self.metadata()?;
        match fs::symlink_metadata(path) {
            Ok(named) => Ok(named.ino() == own.ino() && named.dev() == own.dev()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}
