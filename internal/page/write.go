package page

import "io"

// Write writes the page.
func Write(w io.Writer, p *Page) error {
	_, err := io.WriteString(w, p.Title)
	return err
}
