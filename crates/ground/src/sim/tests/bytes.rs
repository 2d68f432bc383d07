//! Random writes, cuts, syncs and failing syncs of one file, and after a power cut each sector against a second,
//! simpler account of what it may hold (rules 1 to 4).

use super::*;
use proptest::prelude::*;

const SECTOR: usize = 512;
/// Larger than any file here gets.
const FILE_MAX: usize = 40 * SECTOR;

#[derive(Clone, Debug)]
enum Step {
    Write { offset: usize, len: usize },
    SetLen(usize),
    Sync,
    FailSync,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let offset = || prop_oneof![0..FILE_MAX / 2, (0..20_usize).prop_map(|sector| sector * SECTOR)];
    let step = prop_oneof![
        8 => (offset(), 1..FILE_MAX / 2).prop_map(|(offset, len)| Step::Write { offset, len }),
        2 => offset().prop_map(Step::SetLen),
        2 => Just(Step::Sync),
        1 => Just(Step::FailSync),
    ];
    prop::collection::vec(step, 1..24)
}

/// What one sector may hold after a power cut.
#[derive(Clone)]
struct Sector {
    possible: Vec<[u8; SECTOR]>,
    /// A sync failed since it was written: no later sync decides what it holds.
    lost: bool,
}

struct Account {
    now: Vec<u8>,
    len: usize,
    len_min: usize,
    len_max: usize,
    sectors: Vec<Sector>,
}

impl Account {
    fn new() -> Account {
        let sectors = vec![Sector { possible: vec![[0; SECTOR]], lost: false }; FILE_MAX / SECTOR];
        Account { now: vec![0; FILE_MAX], len: 0, len_min: 0, len_max: 0, sectors }
    }

    fn sector(&self, index: usize) -> [u8; SECTOR] {
        self.now[index * SECTOR..][..SECTOR].try_into().unwrap()
    }

    /// Bytes `from..to` were changed, whether or not to others than before.
    fn changed(&mut self, from: usize, to: usize) {
        for index in from / SECTOR..to.div_ceil(SECTOR) {
            let version = self.sector(index);
            self.sectors[index].possible.push(version);
            self.sectors[index].lost = false;
        }
    }

    fn set_len(&mut self, len: usize) {
        self.len = len;
        self.len_min = self.len_min.min(len);
        self.len_max = self.len_max.max(len);
    }

    fn apply(&mut self, disk: &SimDisk, file: &dyn File, step: &Step, number: u64) {
        match *step {
            Step::Write { offset, len } => {
                // Each write and place has bytes of its own, never zero, so that one at a wrong place or time is seen.
                let bytes: Vec<u8> = (0..len).map(|at| mix(number << 32 | at as u64) as u8 | 1).collect();
                file.write_at(&bytes, offset as u64).unwrap();
                self.now[offset..offset + len].copy_from_slice(&bytes);
                self.changed(offset, offset + len);
                self.set_len(self.len.max(offset + len));
            }
            Step::SetLen(len) => {
                file.set_len(len as u64).unwrap();
                if len < self.len {
                    self.now[len..].fill(0);
                    self.changed(len, FILE_MAX);
                }
                self.set_len(len);
            }
            Step::Sync => {
                file.sync_data().unwrap();
                for index in 0..self.sectors.len() {
                    if !self.sectors[index].lost {
                        self.sectors[index].possible = vec![self.sector(index)];
                    }
                }
                (self.len_min, self.len_max) = (self.len, self.len);
            }
            Step::FailSync => {
                disk.fail_next(Operation::Sync, ErrorKind::Other);
                file.sync_data().unwrap_err();
                self.sectors.iter_mut().for_each(|sector| sector.lost |= sector.possible.len() > 1);
            }
        }
    }

    /// Whether the account allows these bytes.
    fn check(&self, found: &[u8]) -> Result<(), TestCaseError> {
        prop_assert!((self.len_min..=self.len_max).contains(&found.len()), "length {}", found.len());
        for (index, bytes) in found.chunks(SECTOR).enumerate() {
            let possible = &self.sectors[index].possible;
            let allowed = possible.iter().any(|version| version[..bytes.len()] == *bytes);
            prop_assert!(allowed, "sector {} holds what none of {} versions was", index, possible.len());
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn every_sector_holds_a_version_it_had(steps in steps(), seed: u64, more in steps(), pages: bool) {
        let disk = SimDisk::new(seed);
        disk.tear_pages(pages);
        let file = file(&disk, "/f");
        let mut account = Account::new();
        for (number, step) in steps.iter().enumerate() {
            account.apply(&disk, file.as_ref(), step, number as u64);
            prop_assert_eq!(&read(&disk, at("/f")).unwrap(), &account.now[..account.len]);
            prop_assert!(disk.room_is_right());
            for salt in 0..3 {
                account.check(&read(&disk.fork_after_crash(salt), at("/f")).unwrap())?;
            }
        }
        // One can go on after the crash: the second life keeps to the same rules, from what the first left.
        disk.crash();
        let found = read(&disk, at("/f")).unwrap();
        account.check(&found)?;
        let file = disk.open(at("/f"), Open::ReadWrite).unwrap();
        let mut second = Account::new();
        second.now[..found.len()].copy_from_slice(&found);
        second.changed(0, FILE_MAX);
        second.sectors.iter_mut().for_each(|sector| sector.possible = sector.possible.split_off(1));
        (second.len, second.len_min, second.len_max) = (found.len(), found.len(), found.len());
        for (number, step) in more.iter().enumerate() {
            second.apply(&disk, file.as_ref(), step, 1000 + number as u64);
            prop_assert_eq!(&read(&disk, at("/f")).unwrap(), &second.now[..second.len]);
        }
        second.check(&read(&disk.fork_after_crash(9), at("/f")).unwrap())?;
    }
}

/// The account must be able to fail: a sync that does nothing breaks it.
#[test]
fn a_disk_that_lies_is_found_out() {
    let disk = SimDisk::new(1);
    let file = file(&disk, "/f");
    disk.set_sync_lies(true);
    let mut account = Account::new();
    for (number, step) in [Step::Write { offset: 100, len: 3000 }, Step::Sync].iter().enumerate() {
        account.apply(&disk, file.as_ref(), step, number as u64);
    }
    let caught = (0..OUTCOMES).filter(|salt| {
        let found = read(&disk.fork_after_crash(*salt), at("/f")).unwrap();
        account.check(&found).is_err()
    });
    assert!(caught.count() > OUTCOMES as usize / 2);
}
