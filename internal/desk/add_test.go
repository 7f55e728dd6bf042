package desk

import (
	"reflect"
	"testing"
	"time"

	"dateline/internal/news"
)

// filled has something in every field, so that one that is forgotten in a sum shows.
func filled(t *testing.T, v reflect.Value) {
	t.Helper()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Interface().(type) {
		case int:
			f.SetInt(int64(i + 1))
		case [24]int:
			f.Index(3).SetInt(7)
		case map[string]int:
			f.Set(reflect.ValueOf(map[string]int{"JP": 5}))
		case map[PushService]int:
			f.Set(reflect.ValueOf(map[PushService]int{PushApple: 5}))
		case map[string]news.Counts:
			f.Set(reflect.ValueOf(map[string]news.Counts{"JP": {Intended: 2, Accepted: 1}}))
		case []Overlap:
			f.Set(reflect.ValueOf([]Overlap{{AlertID: "a", Devices: 4}}))
		case time.Time:
			f.Set(reflect.ValueOf(time.Unix(9, 0)))
		default:
			t.Fatalf("%s: this test does not know %s", v.Type().Field(i).Name, f.Type())
		}
	}
}

// What each process counts adds up, in every field.
func TestWhatProcessesCountAddsUp(t *testing.T) {
	var reach, none Reach
	filled(t, reflect.ValueOf(&reach).Elem())
	none.Add(reach)
	if !reflect.DeepEqual(none, reach) {
		t.Errorf("nothing and %+v are %+v", reach, none)
	}
	none.Add(reach)
	if none.Devices != 2*reach.Devices || none.Armed != 2*reach.Armed || none.Hours[3] != 14 || none.Services[PushApple] != 10 || none.Recent[0].Devices != 8 {
		t.Errorf("twice %+v is %+v", reach, none)
	}
	var progress, nothing Progress
	filled(t, reflect.ValueOf(&progress).Elem())
	nothing.Add(progress)
	nothing.Add(progress)
	if nothing.Cells != 2*progress.Cells || nothing.Services["JP"].Intended != 4 || nothing.Places["JP"].Accepted != 2 {
		t.Errorf("twice %+v is %+v", progress, nothing)
	}
}
