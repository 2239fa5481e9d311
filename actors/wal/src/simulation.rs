//! A disk in memory. After a power cut it has everything that was synced. Of unsynced writes it has any sectors,
//! complete or torn, and the old length or the new one. It can also shorten writes, be full, fail, and ignore syncs.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use crate::disk::{Disk, File};

const SECTOR: usize = 512;

/// The faults of the disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Writes write only a part of the bytes.
    pub short_writes: bool,
    /// Syncs succeed without an effect.
    pub lying_syncs: bool,
    /// The number of writes and syncs that still succeed. After that all fail.
    pub operations: Option<u64>,
    /// The size of the disk in bytes.
    pub capacity: Option<u64>,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    content: Vec<u8>,
    durable: Vec<u8>,
    /// Writes since the last sync.
    writes: Vec<(usize, Vec<u8>)>,
}

#[derive(Clone, Debug)]
enum Naming {
    Set(PathBuf, u64),
    Remove(PathBuf),
}

#[derive(Debug)]
struct State {
    random: StdRng,
    faults: Faults,
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<PathBuf, u64>,
    durable_names: BTreeMap<PathBuf, u64>,
    /// Changes of names since the last sync of the directory.
    naming: Vec<Naming>,
}

/// A disk in memory. Clones share it.
#[derive(Clone, Debug)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

impl SimulatedDisk {
    /// An empty disk without faults. The seed decides which operations the faults affect.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            random: StdRng::seed_from_u64(seed),
            faults: Faults::default(),
            inodes: BTreeMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            naming: Vec::new(),
        })))
    }

    /// Sets the faults from now on.
    pub fn set(&self, faults: Faults) {
        self.0.lock().faults = faults;
    }

    /// A copy of the disk after a power cut at this moment.
    pub fn cut_power(&self, seed: u64) -> Self {
        let state = self.0.lock();
        let mut random = StdRng::seed_from_u64(seed);
        let mut names = state.durable_names.clone();
        let done = random.random_range(0..=state.naming.len());
        state.naming[..done].iter().for_each(|naming| naming.apply(&mut names));
        let inodes = state.inodes.iter().map(|(number, inode)| (*number, inode.after_a_cut(&mut random))).collect();
        let disk = Self::new(seed);
        let mut cut = disk.0.lock();
        (cut.inodes, cut.names, cut.durable_names) = (inodes, names.clone(), names);
        drop(cut);
        disk
    }

    /// Counts one operation that is not the log's.
    pub fn operate(&self) -> io::Result<()> {
        self.0.lock().operate()
    }

    /// A copy of the disk, as the next process finds it.
    pub fn survive(&self, seed: u64) -> Self {
        let state = self.0.lock();
        let disk = Self::new(seed);
        let mut other = disk.0.lock();
        (other.inodes, other.names) = (state.inodes.clone(), state.names.clone());
        (other.durable_names, other.naming) = (state.durable_names.clone(), state.naming.clone());
        drop(other);
        disk
    }

    /// The paths of all files.
    pub fn files(&self) -> Vec<PathBuf> {
        self.0.lock().names.keys().cloned().collect()
    }

    /// The content of a file as a reader sees it, durable or not. Empty if there is no file.
    pub fn content(&self, path: &Path) -> Vec<u8> {
        let state = self.0.lock();
        state.names.get(path).map(|number| state.inodes[number].content.clone()).unwrap_or_default()
    }

    /// Flips one bit of a file.
    pub fn flip(&self, path: &Path, bit: usize) {
        let mut state = self.0.lock();
        let number = state.names[path];
        let inode = state.inodes.entry(number).or_default();
        for content in [&mut inode.content, &mut inode.durable] {
            if let Some(byte) = content.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    /// The size of all files.
    pub fn bytes(&self) -> u64 {
        self.0.lock().bytes()
    }
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Self::Set(path, number) => names.insert(path.clone(), *number),
            Self::Remove(path) => names.remove(path),
        };
    }
}

impl Inode {
    fn after_a_cut(&self, random: &mut StdRng) -> Self {
        let length = *[self.durable.len(), self.content.len()].choose(random).unwrap_or(&0);
        let kept = *[0.0, 0.02, 0.5, 0.98, 1.0].choose(random).unwrap_or(&0.0);
        let mut image = self.durable.clone();
        image.resize(length.max(self.content.len()), 0);
        for (offset, bytes) in &self.writes {
            let mut at = *offset;
            let end = offset + bytes.len();
            while at < end {
                let sector_end = (at / SECTOR + 1) * SECTOR;
                let to = sector_end.min(end);
                if random.random_bool(kept) {
                    // Some drives do not even write a sector as a whole.
                    let to = if random.random_bool(0.02) { random.random_range(at..=to) } else { to };
                    image[at..to].copy_from_slice(&bytes[at - offset..to - offset]);
                }
                at = sector_end;
            }
        }
        image.truncate(length);
        Self { content: image.clone(), durable: image, writes: Vec::new() }
    }
}

impl State {
    fn bytes(&self) -> u64 {
        self.names.values().map(|number| self.inodes[number].content.len() as u64).sum()
    }

    fn operate(&mut self) -> io::Result<()> {
        match &mut self.faults.operations {
            Some(0) => Err(io::Error::other("the drive is gone")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn name(&mut self, naming: Naming) {
        naming.apply(&mut self.names);
        self.naming.push(naming);
    }
}

impl Disk for SimulatedDisk {
    fn create_directory(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn names(&self, directory: &Path) -> io::Result<Vec<String>> {
        let state = self.0.lock();
        let here = state.names.keys().filter(|path| path.parent() == Some(directory));
        Ok(here.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut state = self.0.lock();
        state.operate()?;
        let number = state.inodes.keys().next_back().map_or(1, |last| last + 1);
        state.inodes.insert(number, Inode::default());
        state.name(Naming::Set(path.to_owned(), number));
        Ok(Arc::new(SimulatedFile { disk: self.clone(), path: path.to_owned(), number }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let number = *self.0.lock().names.get(path).ok_or(ErrorKind::NotFound)?;
        Ok(Arc::new(SimulatedFile { disk: self.clone(), path: path.to_owned(), number }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.operate()?;
        let number = *state.names.get(from).ok_or(ErrorKind::NotFound)?;
        state.name(Naming::Set(to.to_owned(), number));
        state.name(Naming::Remove(from.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.operate()?;
        state.name(Naming::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_directory(&self, _path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.operate()?;
        if !state.faults.lying_syncs {
            state.durable_names = state.names.clone();
            state.naming.clear();
        }
        Ok(())
    }
}

#[derive(Debug)]
struct SimulatedFile {
    disk: SimulatedDisk,
    path: PathBuf,
    number: u64,
}

impl File for SimulatedFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.0.lock().inodes[&self.number].content.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.0.lock();
        let content = &state.inodes[&self.number].content;
        let there = content.get(offset as usize..).unwrap_or_default();
        let length = there.len().min(buffer.len());
        buffer[..length].copy_from_slice(&there[..length]);
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.0.lock();
        state.operate()?;
        let mut length = bytes.len();
        if state.faults.short_writes && length > 1 {
            length = state.random.random_range(1..=length);
        }
        let offset = offset as usize;
        let grows = (offset + length).saturating_sub(state.inodes[&self.number].content.len());
        if let Some(capacity) = state.faults.capacity {
            let room = usize::try_from(capacity.saturating_sub(state.bytes())).unwrap_or(usize::MAX);
            length -= grows.saturating_sub(room).min(length);
            if length == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
        }
        let inode = state.inodes.entry(self.number).or_default();
        let end = offset + length;
        if inode.content.len() < end {
            inode.content.resize(end, 0);
        }
        inode.content[offset..end].copy_from_slice(&bytes[..length]);
        inode.writes.push((offset, bytes[..length].to_vec()));
        Ok(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        state.operate()?;
        if !state.faults.lying_syncs {
            let inode = state.inodes.entry(self.number).or_default();
            let Inode { content, durable, writes } = inode;
            durable.resize(content.len(), 0);
            for (offset, bytes) in writes.drain(..) {
                durable[offset..offset + bytes.len()].copy_from_slice(&bytes);
            }
        }
        Ok(())
    }

    fn check_in_place(&self) -> io::Result<()> {
        let there = self.disk.0.lock().names.get(&self.path) == Some(&self.number);
        if there { Ok(()) } else { Err(ErrorKind::NotFound.into()) }
    }
}
