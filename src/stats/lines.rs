//! A picture as JSON lines, written and read row by row: nothing is held twice, however many rows there are.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::usage::{Day, SubjectId, Timestamp};

use super::picture::Epoch;
use super::saved::{SavedCube, SavedRow};
use super::{Cube, Names, Picture, Stats, Symbol};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// The first line: what the numbers in the others mean.
    Head { names: Vec<String>, resets: Vec<Timestamp>, active: Vec<(SubjectId, Timestamp)> },
    /// A cube without its rows, which follow; no day means days that are no longer told apart.
    Cube { epoch: usize, day: Option<Day>, cube: SavedCube },
    /// A row of the cube before it.
    Row(Box<SavedRow>),
}

impl Picture {
    /// Hands on the picture line by line, without newlines.
    ///
    /// # Errors
    /// Whatever `on_line` answers.
    pub fn for_each_line<E>(&self, mut on_line: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut text = Vec::new();
        let mut write = |line: Line| {
            text.clear();
            serde_json::to_writer(&mut text, &line).expect("plain data can be written");
            on_line(&text)
        };
        let mut active: Vec<_> = self.active.iter().map(|(session, at)| (*session, *at)).collect();
        active.sort_unstable();
        let names = self.names.texts().map(str::to_owned).collect();
        write(Line::Head { names, resets: self.resets.clone(), active })?;
        for (number, epoch) in self.epochs.iter().enumerate() {
            let retired = (!epoch.retired.is_empty()).then_some((None, &epoch.retired));
            for (day, cube) in epoch.days.iter().map(|(day, cube)| (Some(*day), cube)).chain(retired) {
                write(Line::Cube { epoch: number, day, cube: SavedCube::without_rows(cube) })?;
                cube.rows().try_for_each(|(key, sums)| write(Line::Row(Box::new(SavedRow::of(key, sums)))))?;
            }
        }
        Ok(())
    }
}

/// Takes the lines of a picture back, in their order.
#[derive(Default)]
pub struct LineReader {
    picture: Option<Picture>,
    symbols: Vec<Symbol>,
    /// The cube whose rows come.
    current: Option<(usize, Option<Day>, Cube)>,
}

impl LineReader {
    /// Takes one line; `false` if it is none of a picture's or comes out of order.
    pub fn take(&mut self, line: &[u8]) -> bool {
        match (serde_json::from_slice(line), &mut self.picture) {
            (Ok(Line::Head { names: texts, resets, active }), None) => {
                let mut names = Names::default();
                let symbols = texts.iter().map(|name| names.intern(name));
                self.symbols = std::iter::once(Symbol::ABSENT).chain(symbols).collect();
                let mut epochs = Vec::new();
                epochs.resize_with(resets.len() + 1, Arc::default);
                let active = Arc::new(active.into_iter().collect());
                self.picture = Some(Picture { names: Arc::new(names), epochs, resets, active });
                true
            }
            (Ok(Line::Cube { epoch, day, cube }), Some(picture)) if epoch < picture.epochs.len() => {
                self.end_cube();
                self.current = Some((epoch, day, cube.restored(&self.symbols)));
                true
            }
            (Ok(Line::Row(row)), _) => {
                let Some((_, _, cube)) = &mut self.current else { return false };
                row.add_to(cube, &self.symbols);
                true
            }
            _ => false,
        }
    }

    /// The fold whose picture it was; `None` if its first line was missing.
    pub fn finish(mut self) -> Option<Stats> {
        self.end_cube();
        self.picture.map(Stats::from_picture)
    }

    fn end_cube(&mut self) {
        if let (Some((epoch, day, cube)), Some(picture)) = (self.current.take(), &mut self.picture) {
            let epoch: &mut Epoch = Arc::make_mut(&mut picture.epochs[epoch]);
            match day {
                Some(day) => drop(epoch.days.insert(day, Arc::new(cube))),
                None => epoch.retired = Arc::new(cube),
            }
        }
    }
}
