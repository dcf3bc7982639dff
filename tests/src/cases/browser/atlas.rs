//! The atlas looks right: at the width of a phone and of a desk, in light and dark.

use crate::Failed;
use crate::browser::{Browser, View, trial};
use crate::subject::{Subject, repository, subjects};
use libtest_mimic::Trial;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use tempfile::TempDir;

const VIEWS: [View; 4] = [
    View { width: 390, height: 844, dark: false },
    View { width: 390, height: 844, dark: true },
    View { width: 1280, height: 900, dark: false },
    View { width: 1280, height: 900, dark: true },
];

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![trial("browser/atlas/index".into(), index)];
    for subject in subjects() {
        let name = format!("browser/atlas/formats/{}", subject.name);
        trials.push(trial(name, move |browser| format(subject, browser)));
    }
    trials
}

/// The site, written once.
fn site() -> Result<&'static Path, Failed> {
    static SITE: LazyLock<Result<TempDir, String>> = LazyLock::new(|| {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        xtask::atlas::build(&repository("formats"), folder.path())?;
        Ok(folder)
    });
    SITE.as_ref().map(TempDir::path).map_err(|error| error.as_str().into())
}

/// What a page says of itself.
#[derive(Debug, Deserialize)]
struct Look {
    /// CSS pixels, with what does not fit the window.
    width: u32,
    /// Brightness of ground and text, 0 to 255.
    ground: f64,
    text: f64,
    title: String,
    headings: usize,
    /// Rows of tables, but for headings.
    rows: usize,
    /// Where links lead, as files; empty where they lead to a place that the page does not have.
    links: Vec<String>,
    /// Bits that pictures show, and brightness of their ground.
    bits: u64,
    picture: Option<f64>,
    /// Letters and coloured tokens in every box of code, and the least contrast of a token.
    code: Vec<(usize, usize)>,
    contrast: f64,
    /// Pictures and scrolling boxes that have no name.
    nameless: usize,
}

const LOOK: &str = include_str!("../../../browser/look.js");

/// Looks at a page in every way.
fn looks(browser: &mut Browser, page: &Path) -> Result<Vec<Look>, Failed> {
    let mut looks = Vec::new();
    browser.open(page)?;
    for view in VIEWS {
        browser.view(view)?;
        let look: Look = serde_json::from_value(browser.evaluate(LOOK)?)?;
        let wrong = |what: &str| Err(format!("{view:?}: {what}: {look:?}").into());
        let complaints = browser.complaints();
        if !complaints.is_empty() {
            return wrong(&complaints.join("\n"));
        }
        if look.width > view.width {
            return wrong("the page is wider than the window");
        }
        if (look.ground < 64.0) != view.dark || (look.text < 64.0) == view.dark {
            return wrong("wrong colours");
        }
        if look.picture.is_some_and(|ground| (ground < 64.0) != view.dark) {
            return wrong("the picture has wrong colours");
        }
        if look.contrast < 4.5 {
            return wrong("too little contrast");
        }
        if look.headings == 0 || look.title.is_empty() || look.nameless > 0 {
            return wrong("something has no name");
        }
        for link in &look.links {
            if !PathBuf::from(link).is_file() {
                return wrong(&format!("a link leads nowhere: `{link}`"));
            }
        }
        looks.push(look);
    }
    Ok(looks)
}

fn index(browser: &mut Browser) -> Result<(), Failed> {
    for look in looks(browser, &site()?.join("index.html"))? {
        if look.rows != subjects().len() || look.links.len() < look.rows {
            return Err(format!("{} formats: {look:?}", subjects().len()).into());
        }
    }
    sorts(browser)
}

/// A click on a heading sorts by number, another the other way round.
fn sorts(browser: &mut Browser) -> Result<(), Failed> {
    let click = "(() => {
        [...document.querySelectorAll('thead button')].find((b) => b.textContent == 'Bytes per block').click();
        return [...document.querySelectorAll('tbody tr')].map((row) => Number(row.cells[2].textContent));
    })()";
    let mut bytes =
        |_| -> Result<Vec<u32>, Failed> { Ok(serde_json::from_value(browser.evaluate(click)?)?) };
    let (rising, falling) = (bytes(())?, bytes(())?);
    let sorted = rising.is_sorted() && falling.is_sorted_by(|a, b| a >= b);
    match sorted && rising.len() == subjects().len() {
        true => Ok(()),
        false => Err(format!("not sorted: {rising:?}, {falling:?}").into()),
    }
}

fn format(subject: &Subject, browser: &mut Browser) -> Result<(), Failed> {
    let format = &subject.format;
    let page = site()?.join("formats").join(format!("{}.html", subject.name));
    let bytes: u32 = format.streams.iter().map(|stream| stream.bytes / stream.copies).sum();
    // The descriptor, the CPU decoder, and the kernels.
    let boxes = 2 + subject.built_in()?.kernels.len();
    for look in looks(browser, &page)? {
        let wrong = |what: &str| Err(format!("{what}: {look:?}").into());
        if look.bits != u64::from(bytes) * 8 {
            return wrong(&format!("the picture should show {} bits", bytes * 8));
        }
        let empty = |&(letters, tokens): &(usize, usize)| letters < 50 || tokens < 5;
        if look.code.len() != boxes || look.code.iter().any(empty) {
            return wrong(&format!("there should be {boxes} boxes of coloured code"));
        }
    }
    Ok(())
}
