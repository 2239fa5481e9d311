//! Memory and CPU time of a process, from `/proc`.

use std::{fs, path::PathBuf, process::Command, time::Duration};

/// Resident memory in bytes.
pub fn resident(pid: u32) -> u64 {
    memory(pid, "VmRSS:")
}

/// The most resident memory so far, in bytes.
pub fn peak(pid: u32) -> u64 {
    memory(pid, "VmHWM:")
}

/// Leaves the first core to the process, and the others to this one. False if there is one core only, or no `taskset`.
pub fn pin_apart(pid: u32) -> bool {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let pin = |cores: &str, pid: u32| {
        let mut taskset = Command::new("taskset");
        taskset.args(["-a", "-p", "-c", cores, &pid.to_string()]);
        // It fails if a thread ends meanwhile.
        (0..5).any(|_| taskset.output().is_ok_and(|done| done.status.success()))
    };
    cores > 1 && pin("0", pid) && pin(&format!("1-{}", cores - 1), std::process::id())
}

/// A control group with one process, which may use so much memory and no more. It goes when the process has ended.
pub struct MemoryLimit(PathBuf);

impl MemoryLimit {
    /// None if this process may not make a control group.
    pub fn new(pid: u32, bytes: u64) -> Option<Self> {
        // Version 1 has a tree for each controller, version 2 has one.
        let trees = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
        trees.into_iter().find_map(|(tree, limit)| {
            let group = PathBuf::from(tree).join(format!("tandem-bench-{pid}"));
            fs::create_dir(&group).ok()?;
            let made = Self(group);
            fs::write(made.0.join(limit), bytes.to_string()).ok()?;
            fs::write(made.0.join("cgroup.procs"), pid.to_string()).ok()?;
            Some(made)
        })
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

fn memory(pid: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kibibytes.unwrap_or_default() * 1024
}

/// CPU time of all threads, in user and kernel.
pub fn cpu(pid: u32) -> Duration {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold spaces.
    let fields: Vec<&str> = stat.rsplit_once(") ").map_or_else(Vec::new, |(_, rest)| rest.split(' ').collect());
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    Duration::from_secs_f64((ticks(11) + ticks(12)) / TICKS_PER_SECOND)
}
