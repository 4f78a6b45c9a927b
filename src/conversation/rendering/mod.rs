//! Messages as text: each is the context of the template it names. The only place where the two meet.

use std::sync::Arc;

use super::buttons::Key;
use super::driver::Renderer;
use super::message::Message;
use crate::templates::{Lang, Surface, Templates};

/// Renders messages with the texts that were loaded at start. Times show in the zone their offset says.
#[derive(Clone, Debug)]
pub struct TemplateRenderer {
    templates: Arc<Templates>,
    surface: Surface,
}

impl TemplateRenderer {
    /// A renderer over loaded texts, of plain text.
    pub fn new(templates: Arc<Templates>) -> TemplateRenderer {
        TemplateRenderer { templates, surface: Surface::Plain }
    }

    /// The same, in the form of another surface.
    pub fn on(self, surface: Surface) -> TemplateRenderer {
        TemplateRenderer { surface, ..self }
    }
}

impl Renderer for TemplateRenderer {
    fn render(&self, lang: Lang, message: &Message) -> String {
        self.templates.render_for(self.surface, lang, &message.template(), message)
    }

    fn render_plain(&self, lang: Lang, message: &Message) -> String {
        self.templates.render(lang, &message.template(), message)
    }

    fn label(&self, lang: Lang, key: &Key) -> String {
        let label = self.templates.button(lang, key.name);
        if key.chosen { format!("• {label}") } else { label }
    }

    fn surface(&self) -> Surface {
        self.surface
    }
}

#[cfg(test)]
mod budget_tests;
#[cfg(test)]
mod tests;
