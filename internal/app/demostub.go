package app
import ("context";"io";"net/http")
type DemoOptions struct { Once bool; Devices, Readers int; Listen, Folder string; Out io.Writer }
func Demo(context.Context, DemoOptions) error { return nil }
type pagesT interface{ Routes(*http.ServeMux) }
