//! Writes SVG pictures: shapes, texts, and linear or logarithmic axes.

use std::fmt::Write as _;

/// Colours for light and dark pages; viewers without support for dark mode show the light ones.
const STYLE: &str = "\
    svg{font-family:system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;font-size:13px}\
    .page{fill:#fff}.text{fill:#24292f}.quiet{fill:#57606a}.grid{stroke:#d8dee4}.edge{stroke:#8c959f}\
    .program{fill:#0969da;stroke:#0969da}.model{fill:#cf4b1f;stroke:#cf4b1f}.kinder{fill:#9a6700;stroke:#9a6700}\
    .ink{stroke-width:0}.line{fill:none;stroke-width:2.5}.thin{stroke-width:1}\
    .hollow{fill:#fff;stroke-width:2.5}.dashes{stroke-dasharray:5 4}\
    @media(prefers-color-scheme:dark){\
    .page{fill:#0d1117}.text{fill:#e6edf3}.quiet{fill:#9198a1}.grid{stroke:#2b323b}.edge{stroke:#656c76}\
    .program{fill:#4493f8;stroke:#4493f8}.model{fill:#f0784c;stroke:#f0784c}.kinder{fill:#d29922;stroke:#d29922}\
    .line{fill:none}.hollow{fill:#0d1117}}";

pub(crate) struct Svg {
    text: String,
}

/// The horizontal alignment of a text.
#[derive(Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    pub(crate) fn new(width: f64, height: f64, title: &str) -> Self {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" role=\"img\">\n<title>{}</title>\n<style>{STYLE}</style>\n\
             <rect class=\"page\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>",
            escaped(title)
        );
        Self { text }
    }

    pub(crate) fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    pub(crate) fn text(&mut self, at: (f64, f64), anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.element(format_args!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{}</text>",
            at.0,
            at.1,
            escaped(text)
        ));
    }

    pub(crate) fn title(&mut self, at: (f64, f64), text: &str) {
        self.element(format_args!(
            "<text x=\"{:.1}\" y=\"{:.1}\" class=\"text\" font-weight=\"600\" font-size=\"15\">{}</text>",
            at.0,
            at.1,
            escaped(text)
        ));
    }

    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        self.path(&[from, to], class);
    }

    /// Joins points by straight lines.
    pub(crate) fn path(&mut self, points: &[(f64, f64)], class: &str) {
        let points: Vec<_> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.element(format_args!(
            "<polyline class=\"{class}\" fill=\"none\" points=\"{}\"/>",
            points.join(" ")
        ));
    }

    pub(crate) fn dot(&mut self, at: (f64, f64), class: &str) {
        self.element(format_args!(
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4.5\" class=\"{class}\"/>",
            at.0, at.1
        ));
    }

    pub(crate) fn bar(&mut self, at: (f64, f64), size: (f64, f64), class: &str, opacity: f64) {
        self.element(format_args!(
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" class=\"{class}\" fill-opacity=\"{opacity}\"/>",
            at.0, at.1, size.0, size.1
        ));
    }

    fn element(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{element}");
    }
}

/// Maps values to positions on one axis.
pub(crate) struct Axis {
    /// Values at both ends.
    values: (f64, f64),
    /// Positions at both ends.
    places: (f64, f64),
    logarithmic: bool,
}

impl Axis {
    pub(crate) fn linear(values: (f64, f64), places: (f64, f64)) -> Self {
        Self {
            values,
            places,
            logarithmic: false,
        }
    }

    /// Both values must be above zero.
    pub(crate) fn logarithmic(values: (f64, f64), places: (f64, f64)) -> Self {
        Self {
            values: (values.0.ln(), values.1.ln()),
            places,
            logarithmic: true,
        }
    }

    pub(crate) fn at(&self, value: f64) -> f64 {
        let value = if self.logarithmic { value.ln() } else { value };
        let (first, last) = self.values;
        let (from, to) = self.places;
        from + (value - first) / (last - first) * (to - from)
    }
}

/// The two axes of a chart, with titles and ticks.
pub(crate) struct Frame<'a> {
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) x_title: &'a str,
    pub(crate) y_title: &'a str,
    pub(crate) x_ticks: &'a [(f64, &'a str)],
    pub(crate) y_ticks: &'a [(f64, &'a str)],
}

impl Frame<'_> {
    pub(crate) fn draw(&self, svg: &mut Svg) {
        let (left, right) = self.x.places;
        let (bottom, top) = self.y.places;
        for (value, label) in self.y_ticks {
            let y = self.y.at(*value);
            svg.line((left, y), (right, y), "grid thin");
            svg.text((left - 8.0, y + 4.5), Anchor::End, "quiet", label);
        }
        for (value, label) in self.x_ticks {
            let x = self.x.at(*value);
            svg.line((x, bottom), (x, bottom + 5.0), "edge thin");
            svg.text((x, bottom + 20.0), Anchor::Middle, "quiet", label);
        }
        svg.line((left, bottom), (right, bottom), "edge thin");
        let middle = f64::midpoint(left, right);
        svg.text((middle, bottom + 40.0), Anchor::Middle, "quiet", self.x_title);
        svg.text((left - 8.0, top - 14.0), Anchor::Start, "quiet", self.y_title);
    }

    pub(crate) fn at(&self, point: (f64, f64)) -> (f64, f64) {
        (self.x.at(point.0), self.y.at(point.1))
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
