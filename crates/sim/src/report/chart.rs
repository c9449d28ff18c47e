//! The chart: a row per receiver, in it the rates of its sources over time, one upon another.

use std::fmt::Write;
use std::time::Duration;

use super::escape;

/// Width of the chart, in units of its own.
const WIDTH: f64 = 960.0;
/// Where time begins, right of the names.
const LEFT: f64 = 110.0;
/// Height of a row.
const ROW: f64 = 42.0;
/// Height of the axis.
const AXIS: f64 = 20.0;

/// Sources of a receiver: name, colour, bytes by step.
pub(super) type Row<'a> = Vec<(&'a str, &'a str, &'a Vec<u64>)>;

pub(super) struct Chart<'a> {
    pub(super) step: Duration,
    pub(super) rows: Vec<(&'a str, Row<'a>)>,
    /// Moments with something to say of them.
    pub(super) marks: Vec<(Duration, String)>,
}

impl Chart<'_> {
    pub(super) fn svg(&self) -> String {
        let height = ROW * self.rows.len() as f64 + AXIS;
        let mut svg = format!("<svg viewBox='0 0 {WIDTH} {height}' role=img>");
        let peak = self.rows.iter().map(|(_, row)| peak(row)).max().unwrap_or(0);
        for (place, (name, row)) in self.rows.iter().enumerate() {
            let top = ROW * place as f64;
            let _ = write!(svg, "<text x=0 y={:.0}>{}</text>", top + ROW * 0.7, escape(name));
            svg += &self.row(row, top, peak.max(1));
        }
        for (at, what) in &self.marks {
            let x = self.x(at.as_secs_f64() / self.step.as_secs_f64());
            let bottom = height - AXIS;
            let _ = write!(
                svg,
                "<line x1={x:.1} x2={x:.1} y1=0 y2={bottom:.0} stroke='#c00' stroke-opacity=.5>\
                 <title>{}</title></line>",
                escape(what)
            );
        }
        svg + &self.axis(height, peak) + "</svg>"
    }

    /// How many steps there are to show.
    fn steps(&self) -> usize {
        let rows = self.rows.iter().flat_map(|(_, row)| row);
        rows.map(|(.., steps)| steps.len()).max().unwrap_or(0).max(1)
    }

    /// Where a moment is, in steps since the beginning.
    fn x(&self, step: f64) -> f64 {
        LEFT + (WIDTH - LEFT) * (step / self.steps() as f64).min(1.0)
    }

    fn row(&self, row: &Row<'_>, top: f64, peak: u64) -> String {
        let mut svg = String::new();
        let mut below = vec![0_u64; self.steps()];
        for (name, colour, steps) in row {
            let y = |bytes: u64| top + ROW - (ROW - 6.0) * bytes as f64 / peak as f64;
            let mut path = String::new();
            let mut back = String::new();
            for (at, sum) in below.iter_mut().enumerate() {
                let (x, before) = (self.x(at as f64), y(*sum));
                *sum += steps.get(at).copied().unwrap_or(0);
                let _ = write!(path, "{x:.1},{:.1} ", y(*sum));
                back = format!("{x:.1},{before:.1} {back}");
            }
            let total: u64 = steps.iter().sum();
            let _ = write!(
                svg,
                "<polygon points='{path}{back}' fill='{colour}'><title>{}: {total} bytes</title></polygon>",
                escape(name)
            );
        }
        svg
    }

    fn axis(&self, height: f64, peak: u64) -> String {
        let end = self.step * self.steps() as u32;
        let rate = peak as f64 / self.step.as_secs_f64() / f64::from(1 << 20);
        let y = height - 6.0;
        format!(
            "<text x={LEFT} y={y:.0}>0 s; a row is {rate:.1} MiB/s high</text>\
             <text x={WIDTH} y={y:.0} text-anchor=end>{:.3} s</text>",
            end.as_secs_f64()
        )
    }
}

/// The most bytes of one step of all sources together.
fn peak(row: &Row<'_>) -> u64 {
    let steps = row.iter().map(|(.., steps)| steps.len()).max().unwrap_or(0);
    let sum = |at: usize| row.iter().filter_map(|(.., steps)| steps.get(at)).sum::<u64>();
    (0..steps).map(sum).max().unwrap_or(0)
}
