package site

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"net/http"
	"sync"

	"dateline/internal/news"
)

// icons draws the sign of the house: a D that is a half globe, crossed by the
// date line. Drawn by code, so there is no picture to keep.
type icons struct {
	mu    sync.Mutex
	drawn map[string][]byte
}

// iconSizes names the icons and their sides in pixels.
func iconSize(name string) (side int, maskable, badge, ok bool) {
	switch name {
	case "180.png":
		return 180, false, false, true
	case "192.png":
		return 192, false, false, true
	case "512.png":
		return 512, false, false, true
	case "maskable-192.png":
		return 192, true, false, true
	case "maskable-512.png":
		return 512, true, false, true
	case "badge-96.png":
		return 96, false, true, true
	}
	return 0, false, false, false
}

// Icons puts the icons alone on the mux of a listener without readers' pages.
func (s *Site) Icons(mux *http.ServeMux) {
	mux.Handle("GET /icons/{name}", s.Floor.Page(s.icon))
	mux.Handle("GET /favicon.ico", s.Floor.Page(s.favicon))
}

func (s *Site) icon(w http.ResponseWriter, r *http.Request) error {
	return s.serveIcon(w, r.PathValue("name"))
}

// favicon is for browsers that ask before they have read a page. They go by
// the content, not by the path's ending.
func (s *Site) favicon(w http.ResponseWriter, _ *http.Request) error {
	return s.serveIcon(w, "192.png")
}

func (s *Site) serveIcon(w http.ResponseWriter, name string) error {
	side, maskable, badge, ok := iconSize(name)
	if !ok {
		return fmt.Errorf("%w: no such icon", news.ErrNotFound)
	}
	raw, err := s.icons.get(name, func() ([]byte, error) { return drawIcon(side, maskable, badge) })
	if err != nil {
		return fmt.Errorf("site.serveIcon(%s): %w", name, err)
	}
	w.Header().Set("Content-Type", "image/png")
	w.Header().Set("Cache-Control", "public, max-age=86400")
	_, _ = w.Write(raw)
	return nil
}

func (i *icons) get(name string, draw func() ([]byte, error)) ([]byte, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if raw, ok := i.drawn[name]; ok {
		return raw, nil
	}
	raw, err := draw()
	if err != nil {
		return nil, err
	}
	if i.drawn == nil {
		i.drawn = map[string][]byte{}
	}
	i.drawn[name] = raw
	return raw, nil
}

// samples is the number of points per pixel and direction: smooth edges.
const samples = 4

// drawIcon draws one icon. Maskable ones fill the square and keep the sign in
// the middle 80 %; a badge is white on nothing, as Android asks.
func drawIcon(side int, maskable, badge bool) ([]byte, error) {
	img := image.NewNRGBA(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			var r, g, b, a float64
			for k := range samples * samples {
				px := (float64(x) + (float64(k%samples)+0.5)/samples) / float64(side)
				py := (float64(y) + (float64(k/samples)+0.5)/samples) / float64(side)
				c := signAt(px, py, maskable, badge)
				alpha := float64(c.A) / 255
				r, g, b, a = r+float64(c.R)*alpha, g+float64(c.G)*alpha, b+float64(c.B)*alpha, a+alpha
			}
			if a > 0 {
				img.SetNRGBA(x, y, color.NRGBA{uint8(r / a), uint8(g / a), uint8(b / a), uint8(255 * a / (samples * samples))})
			}
		}
	}
	var buf bytes.Buffer
	if err := png.Encode(&buf, img); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// signAt is the colour of the point (x, y) of the unit square.
func signAt(x, y float64, maskable, badge bool) color.NRGBA {
	ink, paper, live := color.NRGBA{0x1b, 0x1a, 0x17, 255}, color.NRGBA{0xfb, 0xfa, 0xf7, 255}, color.NRGBA{0xc4, 0x2b, 0x1c, 255}
	ground := color.NRGBA{}
	if !badge {
		ground = ink
	}
	scale := 1.0
	switch {
	case maskable:
		scale = 1 / 0.8
	case badge:
		paper, live = color.NRGBA{255, 255, 255, 255}, color.NRGBA{}
		scale = 0.8
	case !rounded(x, y, 0.18):
		return color.NRGBA{}
	}
	u, v := (x-0.5)*scale, (y-0.5)*scale
	switch {
	case math.Abs(v) < 0.035 && u > -0.34 && u < 0.36:
		return live
	case inD(u, v):
		return paper
	}
	return ground
}

// inD is a D: a stem and half a ring, 0.56 high.
func inD(u, v float64) bool {
	const half, thick, left = 0.30, 0.11, -0.22
	if math.Abs(v) > half || u < left {
		return false
	}
	if u < left+thick {
		return true
	}
	bowl := math.Hypot(math.Max(u-(left+thick), 0)*0.86, v)
	return bowl <= half && bowl >= half-thick*0.86
}

// rounded reports whether the point is inside the unit square with rounded
// corners.
func rounded(x, y, radius float64) bool {
	dx, dy := math.Max(math.Abs(x-0.5)-(0.5-radius), 0), math.Max(math.Abs(y-0.5)-(0.5-radius), 0)
	return math.Hypot(dx, dy) <= radius
}
