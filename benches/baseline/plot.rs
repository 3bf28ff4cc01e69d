//! Draws the results as a chart.

use crate::svg::{Anchor, Axis, Frame, Svg};
use crate::trials::{Burst, Spread};
use crate::{By, Results};

const WIDTH: f64 = 860.0;

impl By {
    fn class(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::Model => "model",
            Self::Kinder => "kinder",
        }
    }
}

pub(crate) fn draw(results: &Results) -> String {
    let mut svg = Svg::new(WIDTH, 720.0, "This program and a model of the Go plugin, side by side");
    for (x, by) in [(24.0, By::Program), (190.0, By::Model), (430.0, By::Kinder)] {
        svg.bar((x, 22.0), (14.0, 14.0), by.class(), 1.0);
        svg.text((x + 22.0, 34.0), Anchor::Start, "text", by.name());
    }
    spread(&mut svg, results);
    faults(&mut svg, results);
    burst(&mut svg, results);
    svg.finish()
}

/// Draws the time to the last card by the number of recipients, both logarithmic.
fn spread(svg: &mut Svg, results: &Results) {
    svg.title((24.0, 78.0), "One request: time until its last card");
    let frame = Frame {
        x: Axis::logarithmic((0.8, 1_300.0), (70.0, 405.0)),
        y: Axis::logarithmic((0.08, 40.0), (310.0, 118.0)),
        x_title: "recipients",
        y_title: "seconds",
        x_ticks: &[(1.0, "1"), (10.0, "10"), (100.0, "100"), (1_000.0, "1,000")],
        y_ticks: &[(0.1, "0.1"), (1.0, "1"), (10.0, "10")],
    };
    frame.draw(svg);
    for (by, rows) in &results.spread {
        let class = by.class();
        let whole = |row: &&Spread| row.delivered == row.recipients;
        let place = |row: &Spread| frame.at((as_number(row.recipients), row.last));
        let points: Vec<_> = rows.iter().map(place).collect();
        let reached = rows.iter().filter(whole).count();
        svg.path(&points[..reached], &format!("{class} line"));
        if reached > 0 {
            svg.path(&points[reached - 1..], &format!("{class} line dashes"));
        }
        for (row, point) in rows.iter().zip(&points) {
            if row.delivered == row.recipients {
                svg.dot(*point, class);
            } else {
                svg.dot(*point, &format!("{class} hollow"));
                let label = format!("gave up after {} of {}", row.delivered, thousands(row.recipients));
                svg.text(
                    (point.0 + 8.0, point.1 - 34.0),
                    Anchor::End,
                    &format!("{class} ink"),
                    &label,
                );
            }
        }
    }
}

/// Draws the recipients who do not have exactly one up-to-date card.
fn faults(svg: &mut Svg, results: &Results) {
    let left = 468.0;
    let all = results.faults.first().map_or(0, |(_, tally)| tally.all());
    svg.title((left, 78.0), "1 % faults: recipients without one current card");
    svg.text(
        (left, 98.0),
        Anchor::Start,
        "quiet",
        &format!("of {} recipients, after announcement and approval", thousands(all)),
    );
    let most = results.faults.iter().map(|(_, tally)| all - tally.right).max();
    let axis = Axis::linear((0.0, as_number(most.unwrap_or(1).max(1))), (0.0, WIDTH - 40.0 - left));
    for (row, (by, tally)) in (0_u8..).zip(&results.faults) {
        let y = 122.0 + f64::from(row) * 66.0;
        let mut x = left;
        for (count, opacity) in [(tally.lost, 1.0), (tally.stale, 0.6), (tally.twice, 0.25)] {
            let width = axis.at(as_number(count));
            svg.bar((x, y), (width, 22.0), &format!("{} thin", by.class()), opacity);
            x += width;
        }
        let label = format!(
            "{:.1} % correct · {} lost, {} stale, {} notified twice",
            tally.share() * 100.0,
            tally.lost,
            tally.stale,
            tally.twice
        );
        svg.text((left, y + 40.0), Anchor::Start, &format!("{} ink", by.class()), &label);
    }
    let y = 122.0 + 3.0 * 66.0 + 14.0;
    svg.text(
        (left, y),
        Anchor::Start,
        "quiet",
        "full colour: lost · lighter: stale · lightest: notified twice",
    );
}

/// Draws the number of cards over time.
fn burst(svg: &mut Svg, results: &Results) {
    let wanted = results.burst.first().map_or(0, |(_, burst)| burst.wanted);
    svg.title(
        (24.0, 398.0),
        &format!(
            "1,000 simultaneous requests, {} cards: delivered over time",
            thousands(wanted)
        ),
    );
    let frame = Frame {
        x: Axis::linear((0.0, 72.0), (70.0, 620.0)),
        y: Axis::linear((0.0, 3_000.0), (660.0, 440.0)),
        x_title: "seconds",
        y_title: "cards",
        x_ticks: &[
            (0.0, "0"),
            (10.0, "10"),
            (20.0, "20"),
            (30.0, "30"),
            (40.0, "40"),
            (50.0, "50"),
            (60.0, "60"),
            (70.0, "70"),
        ],
        y_ticks: &[(0.0, "0"), (1_000.0, "1,000"), (2_000.0, "2,000"), (3_000.0, "3,000")],
    };
    frame.draw(svg);
    svg.line(frame.at((0.0, 0.0)), frame.at((60.0, 3_000.0)), "edge thin dashes");
    let limit = frame.at((60.0, 3_000.0));
    svg.text((limit.0, limit.1 - 8.0), Anchor::End, "quiet", "Microsoft's limit");
    let mut ends = Vec::new();
    for (by, burst) in &results.burst {
        let class = by.class();
        svg.path(&curve(burst, &frame), &format!("{class} line"));
        let end = (
            burst.times.last().copied().unwrap_or_default(),
            as_number(burst.times.len()),
        );
        svg.dot(frame.at(end), class);
        ends.push((*by, frame.at(end).1, burst));
    }
    // Place each label at the end of its curve, without overlaps.
    ends.sort_by(|(_, one, _), (_, other, _)| one.total_cmp(other));
    let mut free = f64::MIN;
    for (by, y, burst) in ends {
        let y = y.max(free);
        let class = format!("{} ink", by.class());
        svg.text((640.0, y), Anchor::Start, &class, by.short());
        let label = format!(
            "{} cards, {} × 429",
            thousands(burst.times.len()),
            thousands(burst.refused)
        );
        svg.text((640.0, y + 18.0), Anchor::Start, &class, &label);
        free = y + 46.0;
    }
}

fn curve(burst: &Burst, frame: &Frame<'_>) -> Vec<(f64, f64)> {
    // One point for every tenth card is precise enough.
    let points = burst.times.iter().enumerate();
    let points = points.filter(|(index, _)| index % 10 == 0 || index + 1 == burst.times.len());
    points
        .map(|(index, time)| frame.at((*time, as_number(index + 1))))
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "a position in a picture")]
fn as_number(count: usize) -> f64 {
    count as f64
}

/// Formats a number with thousands separators.
pub(crate) fn thousands(number: usize) -> String {
    if number < 1_000 {
        number.to_string()
    } else {
        format!("{},{:03}", thousands(number / 1_000), number % 1_000)
    }
}
