"""The review as text, Markdown, HTML, JSON, SARIF and annotations."""
