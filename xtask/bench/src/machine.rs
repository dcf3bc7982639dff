//! What this machine is.

use crate::ggml::Ggml;
use crate::report::Machine;
use std::fs::read_to_string;

/// Everything that figures depend on.
pub fn machine() -> Machine {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let peers = vec![
        format!("ggml {}", Ggml::version()),
        format!("candle-core {}", env!("CANDLE_VERSION")),
        format!("gemm {}", env!("GEMM_VERSION")),
    ];
    Machine {
        processor: processor(),
        cores,
        last_level_cache_bytes: cache(),
        rustflags: env!("FLAGS").to_owned(),
        peers,
    }
}

fn processor() -> String {
    let info = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let fact = |key: &str| {
        let line = info.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let name = fact("model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    match (fact("cpu family"), fact("model\t")) {
        (Some(family), Some(model)) => format!("{name}, family {family} model {model}"),
        _ => name,
    }
}

/// Bytes of the last-level cache; 32 MiB where the system does not say.
pub fn cache() -> usize {
    let size = |index: usize| {
        let path = format!("/sys/devices/system/cpu/cpu0/cache/index{index}/size");
        let text = read_to_string(path).ok()?;
        text.trim().strip_suffix('K')?.parse::<usize>().ok()
    };
    (0..5).filter_map(size).max().map_or(32 << 20, |kilobytes| kilobytes << 10)
}

/// The processor's time, to find out what others took of it.
pub struct Load {
    /// Ticks of all cores since the machine started.
    all: u64,
    busy: u64,
    /// Ticks of this process.
    own: u64,
}

impl Load {
    /// Up to now; `None` where the system does not tell.
    pub fn now() -> Option<Load> {
        let stat = read_to_string("/proc/stat").ok()?;
        let ticks = stat.lines().next()?.split_whitespace().skip(1).take(8);
        let ticks: Vec<u64> = ticks.filter_map(|ticks| ticks.parse().ok()).collect();
        // user, nice, system, idle, waiting, interrupts (two kinds), stolen
        let [user, nice, system, idle, waiting, interrupts @ ..] = ticks.as_slice() else {
            return None;
        };
        let busy = user + nice + system + interrupts.iter().sum::<u64>();
        let process = read_to_string("/proc/self/stat").ok()?;
        let own = process.rsplit_once(')')?.1.split_whitespace().skip(11).take(2);
        let own = own.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Some(Load { all: busy + idle + waiting, busy, own })
    }

    /// Share of all cores' time that other processes took since then.
    pub fn others_since(&self) -> Option<f64> {
        let now = Load::now()?;
        let busy = (now.busy - self.busy).saturating_sub(now.own - self.own);
        Some(busy as f64 / (now.all - self.all).max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn own_work_is_not_that_of_others() {
        let before = Load::now().unwrap();
        let started = std::time::Instant::now();
        while started.elapsed().as_millis() < 200 {
            std::hint::spin_loop();
        }
        let now = Load::now().unwrap();
        assert!(now.own - before.own >= 5, "{} ticks", now.own - before.own);
        assert!(now.busy - before.busy >= now.own - before.own - 2);
        assert!((0.0..=1.0).contains(&before.others_since().unwrap()));
    }
}
