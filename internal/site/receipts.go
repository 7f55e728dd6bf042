package site

import (
	"net/http"
	"slices"

	"dateline/internal/news"
	"dateline/internal/web"
)

// receipt counts what a device says of a notification. The answer is always
// 204: whoever sends nonsense learns nothing, and a worker has nothing to do
// about it.
func (s *Site) receipt(w http.ResponseWriter, r *http.Request) error {
	defer w.WriteHeader(http.StatusNoContent)
	var body struct {
		Receipt string `json:"receipt"`
		Kind    string `json:"kind"`
	}
	if err := web.ReadJSON(w, r, &body, 4<<10); err != nil {
		return nil
	}
	if s.NoReceipts || r.Header.Get("Sec-GPC") == "1" || r.Header.Get("DNT") == "1" {
		return nil // we do not measure, or this reader asked not to be
	}
	if !slices.Contains([]string{"shown", "clicked", "closed"}, body.Kind) {
		return nil
	}
	got, err := s.Links.VerifyReceipt(body.Receipt, s.Now())
	if err != nil {
		return nil
	}
	_, err = s.Store.SaveReceipt(r.Context(), news.DeviceReceipt{AlertID: got.AlertID, Revision: got.Revision,
		Device: news.DeviceRef{Cell: got.Cell, Number: got.Number}, Kind: body.Kind})
	if err != nil {
		s.Logger.Warn("receipt lost", "alert", got.AlertID, "error", err)
	}
	return nil
}
