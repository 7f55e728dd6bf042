package app

import "net/http"

func (d *drill) getPhones(http.ResponseWriter, *http.Request) error      { return nil }
func (d *drill) getPhoneEvents(http.ResponseWriter, *http.Request) error { return nil }
