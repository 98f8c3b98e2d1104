//! The results as an SVG picture: accuracies with error bars, and the weights of every question.
//!
//! Rectangles, lines and text need no library. The panels of the tasks are in two columns. In the
//! strips below them every question is a column of one unit, divided by the weights; questions are
//! sorted by the first member's weight, so that a strip shows a distribution.

use super::report::Report;
use crate::plural::counted;
use packllm_eval::{Answered, Section};
use std::fmt::Write;

/// Sizes in pixels.
const WIDTH: f64 = 960.0;
const MARGIN: f64 = 28.0;
const COLUMN_GAP: f64 = 36.0;
const LINE: f64 = 19.0;
const LABEL: f64 = 96.0;
const TITLE: f64 = 24.0;
const STRIP: f64 = 34.0;
/// Space for the numbers at the right of a panel.
const VALUES: f64 = 74.0;

const INK: &str = "#222222";
const FAINT: &str = "#777777";
const GRID: &str = "#e2e2e2";
const MEMBER: &str = "#8a8a8a";
const MIXTURE: &str = "#1f6fb2";
/// Colours of members that people with any colour vision can tell apart (Okabe & Ito 2008).
const PALETTE: [&str; 8] = [
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#999999",
];

/// Draws the picture.
pub fn draw(report: &Report) -> String {
    let mut canvas = Canvas {
        y: MARGIN,
        ..Canvas::default()
    };
    canvas.heading("Accuracy, per cent, ± 1 standard error (grey: members, blue: mixtures)");
    let sections: Vec<&Section> = report.all_sections().collect();
    let scale = Scale::of(&sections);
    for pair in sections.chunks(2) {
        let top = canvas.y;
        for (section, x) in pair.iter().zip(columns()) {
            canvas.y = top;
            accuracies(&mut canvas, x, section, scale);
        }
        canvas.y = top + TITLE + LINE * (pair[0].rows.len() as f64 + 1.0) + 16.0;
    }
    weights(&mut canvas, report);
    canvas.finish()
}

/// Left edges of the two columns of panels.
fn columns() -> [f64; 2] {
    [MARGIN, MARGIN + column_width() + COLUMN_GAP]
}

fn column_width() -> f64 {
    (WIDTH - 2.0 * MARGIN - COLUMN_GAP) / 2.0
}

/// The range of per cent that all panels show, in multiples of 10.
#[derive(Clone, Copy)]
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn of(sections: &[&Section]) -> Scale {
        let ends = sections.iter().flat_map(|s| &s.rows).map(|row| {
            let error = row.error.unwrap_or(0.0);
            let value = row.share;
            (100.0 * (value - error), 100.0 * (value + error))
        });
        let (low, high) = ends.fold((100.0f64, 0.0f64), |(low, high), (a, b)| {
            (low.min(a), high.max(b))
        });
        let low = ((low / 10.0).floor() * 10.0).clamp(0.0, 90.0);
        let high = ((high / 10.0).ceil() * 10.0).clamp(low + 10.0, 100.0);
        Scale { low, high }
    }

    /// The position of a per cent value on `width` pixels.
    fn at(self, value: f64, width: f64) -> f64 {
        (value - self.low) / (self.high - self.low) * width
    }

    fn ticks(self) -> impl Iterator<Item = f64> {
        let steps = ((self.high - self.low) / 10.0).round() as u32;
        (0..=steps).map(move |i| self.low + 10.0 * f64::from(i))
    }
}

/// A panel: for each contestant a line, with a dot and its error bar.
fn accuracies(canvas: &mut Canvas, x: f64, section: &Section, scale: Scale) {
    let questions = counted(section.questions, "question");
    let title = format!("{} ({questions})", section.name);
    canvas.text(x, canvas.y + 13.0, INK, "bold", &title);
    let top = canvas.y + TITLE;
    let left = x + LABEL;
    let width = column_width() - LABEL - VALUES;
    let bottom = top + LINE * section.rows.len() as f64;
    for tick in scale.ticks() {
        let at = left + scale.at(tick, width);
        canvas.line((at, top), (at, bottom), GRID, 1.0);
        canvas.label(at, bottom + 13.0, "middle", &format!("{tick:.0}"));
    }
    for (i, row) in section.rows.iter().enumerate() {
        let y = top + LINE * (i as f64 + 0.5);
        let colour = if row.member { MEMBER } else { MIXTURE };
        let value = 100.0 * row.share;
        let error = row.error.map(|e| 100.0 * e);
        let at = |value: f64| left + scale.at(value, width);
        canvas.text(x, y + 4.0, INK, "normal", &shorten(&row.name));
        if let Some(error) = error {
            canvas.line((at(value - error), y), (at(value + error), y), colour, 2.0);
        }
        canvas.dot(at(value), y, colour);
        let error = error.map_or(String::new(), |e| format!(" ± {e:.1}"));
        canvas.label(
            x + column_width(),
            y + 4.0,
            "end",
            &format!("{value:.1}{error}"),
        );
    }
    canvas.y = bottom;
}

/// Strips of the weights, for every method whose weights depend on the question.
fn weights(canvas: &mut Canvas, report: &Report) {
    let methods: Vec<usize> = (report.members.len()..report.contestants.len())
        .filter(|&c| varies(&report.answered, c))
        .collect();
    if methods.is_empty() || report.members.len() < 2 {
        return;
    }
    canvas.y += 8.0;
    canvas.heading("Weights, question by question, sorted by the first member's");
    legend(canvas, &report.members);
    for pair in report.answered.chunks(2) {
        let top = canvas.y;
        for (task, x) in pair.iter().zip(columns()) {
            canvas.text(x, top + 13.0, INK, "bold", &task.name);
            for (i, &c) in methods.iter().enumerate() {
                let y = top + TITLE + (STRIP + 6.0) * i as f64;
                let name = shorten(&report.contestants[c]);
                canvas.text(x, y + STRIP / 2.0 + 4.0, INK, "normal", &name);
                strip(canvas, (x + LABEL, y), column_width() - LABEL, task, c);
            }
        }
        canvas.y = top + TITLE + (STRIP + 6.0) * methods.len() as f64 + 14.0;
    }
}

/// Whether a contestant's weights differ between questions.
fn varies(tasks: &[Answered], c: usize) -> bool {
    let marks = tasks.iter().flat_map(|t| &t.marks);
    let mut all = marks.filter_map(|marks| marks.get(c)).map(|m| &m.lambda);
    let first = all.next();
    all.any(|lambda| Some(lambda) != first)
}

fn legend(canvas: &mut Canvas, members: &[String]) {
    let mut x = MARGIN;
    for (k, name) in members.iter().enumerate() {
        canvas.rectangle((x, canvas.y), (11.0, 11.0), colour(k));
        canvas.text(x + 16.0, canvas.y + 10.0, INK, "normal", name);
        // A character has about 7 pixels.
        x += 16.0 + 7.2 * name.chars().count() as f64 + 22.0;
    }
    canvas.y += 24.0;
}

fn colour(k: usize) -> &'static str {
    PALETTE[k % PALETTE.len()]
}

/// One task's weights by one method. Neighbours of equal weights are one rectangle.
fn strip(canvas: &mut Canvas, (x, y): (f64, f64), width: f64, task: &Answered, c: usize) {
    let marks = task.marks.iter().filter_map(|marks| marks.get(c));
    let mut lambdas: Vec<&[f64]> = marks.map(|m| m.lambda.as_slice()).collect();
    lambdas.sort_by(|a, b| b.partial_cmp(a).unwrap_or(std::cmp::Ordering::Equal));
    let unit = width / lambdas.len().max(1) as f64;
    let mut begin = 0;
    for run in lambdas.chunk_by(|a, b| a == b) {
        let mut top = y;
        for (k, share) in run[0].iter().enumerate() {
            let height = STRIP * share;
            let left = x + unit * begin as f64;
            canvas.rectangle((left, top), (unit * run.len() as f64, height), colour(k));
            top += height;
        }
        begin += run.len();
    }
}

/// A name, shortened to fit its column.
fn shorten(name: &str) -> String {
    const MOST: usize = 13;
    if name.chars().count() <= MOST {
        return name.to_owned();
    }
    name.chars().take(MOST - 1).chain(['…']).collect()
}

/// What has been drawn, and down to which height.
#[derive(Default)]
struct Canvas {
    body: String,
    y: f64,
}

impl Canvas {
    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.body, "{element}");
    }

    fn heading(&mut self, text: &str) {
        let (y, text) = (self.y + 4.0, escape(text));
        self.push(format_args!(
            r#"<text x="{MARGIN}" y="{y:.1}" font-size="16" font-weight="bold" fill="{INK}">{text}</text>"#
        ));
        self.y += 26.0;
    }

    fn text(&mut self, x: f64, y: f64, fill: &str, weight: &str, text: &str) {
        let text = escape(text);
        self.push(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" font-weight="{weight}" fill="{fill}">{text}</text>"#
        ));
    }

    /// Small and faint text, for numbers.
    fn label(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        let text = escape(text);
        self.push(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" font-size="11" text-anchor="{anchor}" fill="{FAINT}">{text}</text>"#
        ));
    }

    fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), colour: &str, width: f64) {
        self.push(format_args!(
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{colour}" stroke-width="{width}"/>"#
        ));
    }

    fn dot(&mut self, x: f64, y: f64, colour: &str) {
        self.push(format_args!(
            r#"<circle cx="{x:.1}" cy="{y:.1}" r="4.5" fill="{colour}"/>"#
        ));
    }

    fn rectangle(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), colour: &str) {
        if width > 0.0 && height > 0.0 {
            self.push(format_args!(
                r#"<rect x="{x:.2}" y="{y:.2}" width="{width:.2}" height="{height:.2}" fill="{colour}" shape-rendering="crispEdges"/>"#
            ));
        }
    }

    fn finish(self) -> String {
        let height = self.y + MARGIN;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {WIDTH} {height:.0}\" font-family=\"Helvetica, Arial, sans-serif\" \
             font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{}</svg>\n",
            self.body
        )
    }
}

/// Escapes a name, which comes from a file or a manifest: no markup, and no characters that XML
/// forbids.
fn escape(text: &str) -> String {
    let text = crate::say::printable(text);
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
