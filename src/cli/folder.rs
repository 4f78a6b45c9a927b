//! The folder of the books, before a command does anything with it: is it there, is it one, is it closed to others?

use std::fs;
use std::io::ErrorKind;

use anyhow::bail;

use super::complain;
use super::settings::Loaded;
use crate::service;

/// Looks whether the folder can be what the command works on. A name that was typed and is not there is a slip of the
/// hand, unless the command `begins` books.
///
/// # Errors
/// When there is no such folder, or what is there is none.
pub(super) fn look(loaded: &Loaded, begins: bool) -> anyhow::Result<()> {
    let folder = loaded.data_dir.display();
    match fs::metadata(&loaded.data_dir) {
        Ok(there) if !there.is_dir() => bail!(
            "`{folder}` is a file; expected the folder of the books, by --data-dir or `data_dir`, for example \
             `--data-dir data`"
        ),
        Err(error) if error.kind() == ErrorKind::NotADirectory => bail!(
            "`{folder}` cannot be a folder, since a part of its path is a file; expected the folder of the books, by \
             --data-dir or `data_dir`, for example `--data-dir data`"
        ),
        Err(error) if error.kind() == ErrorKind::NotFound && loaded.folder_was_typed && !begins => bail!(
            "there is no folder `{folder}`, which --data-dir names; expected the folder of the books, for example \
             `--data-dir data`; where new books are meant, `mkdir -p {folder}` first"
        ),
        _ => Ok(()),
    }
}

/// Closes the folder, or says that others can look into it.
pub(super) fn close_to_others(loaded: &Loaded) {
    if let Err(reason) = service::close_to_others(&loaded.data_dir) {
        let folder = loaded.data_dir.display();
        let advice = format!("close it with `chmod 700 {folder}`, or choose another folder with --data-dir");
        complain(&format_args!("other users of this machine can look into `{folder}`: {reason}; {advice}"));
    }
}

/// Says that nothing was recorded yet, where that is known: in a folder that may not be looked into it is not.
///
/// # Errors
/// When the books have lost their acts, or belong to another program.
pub(super) fn say_if_no_books(loaded: &Loaded) -> anyhow::Result<()> {
    let may_not_look = fs::read_dir(&loaded.data_dir).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
    if !may_not_look && !service::has_books(&loaded.data_dir) {
        service::refuse_orphans(&loaded.data_dir)?;
        let folder = loaded.data_dir.display();
        complain(&format_args!(
            "there are no books in `{folder}` yet; another folder is named with --data-dir or `data_dir`"
        ));
    }
    Ok(())
}
