package showcase

import (
	"net/url"
	"strconv"
	"strings"
)

// pager says which part of a list a page shows and where the others are.
type pager struct {
	Page, Pages int
	From, To    int // counted from 1; 0, 0 of an empty list
	Total       int
	path        string
	query       url.Values
}

// newPager pages a list; what is no page of it becomes the nearest one.
func newPager(path string, query url.Values, wanted string, total, size int) pager {
	p := pager{Total: total, Pages: max(1, (total+size-1)/size), path: path, query: query}
	page, err := strconv.Atoi(wanted)
	if err != nil {
		page = 1
	}
	p.Page = min(max(page, 1), p.Pages)
	p.From, p.To = (p.Page-1)*size+1, min(p.Page*size, total)
	if total == 0 {
		p.From = 0
	}
	return p
}

// All is the length of the list as the page prints it.
func (p pager) All() string { return thousands(p.Total) }

// bounds are From and To as a slice's.
func (p pager) bounds() (from, to int) { return max(0, p.From-1), p.To }

// At is the address of a page of this list.
func (p pager) At(page int) string { return address(p.path, p.query, "page", pageText(page)) }

// Previous and Next are the neighbours' addresses; "" where there is none.
func (p pager) Previous() string { return p.neighbour(p.Page - 1) }

// Next is the following page.
func (p pager) Next() string { return p.neighbour(p.Page + 1) }

func (p pager) neighbour(page int) string {
	if page < 1 || page > p.Pages {
		return ""
	}
	return p.At(page)
}

// Live is where the changing part of this very page is.
func (p pager) Live() string { return address(p.path+"/live", p.query, "page", pageText(p.Page)) }

// Here is this very page, for those who reload by hand.
func (p pager) Here() string { return p.At(p.Page) }

func pageText(page int) string {
	if page <= 1 {
		return ""
	}
	return strconv.Itoa(page)
}

// address is path with the query, one value changed; empty values are left out.
func address(path string, query url.Values, name, value string) string {
	q := url.Values{}
	for key, values := range query {
		if v := strings.Join(values, " "); v != "" && key != name {
			q.Set(key, v)
		}
	}
	if value != "" {
		q.Set(name, value)
	}
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// kept are the query's values under these names, and no other.
func kept(query url.Values, names ...string) url.Values {
	q := url.Values{}
	for _, name := range names {
		if v := strings.TrimSpace(query.Get(name)); v != "" {
			q.Set(name, v)
		}
	}
	return q
}

// option is one choice of a menu.
type option struct {
	Value, Text string
	Chosen      bool
}
