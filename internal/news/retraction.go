package news

import (
	"maps"
	"slices"
)

// retraction is how a newsroom takes an alert back in one language. Before
// comes before the alert's title; body stands by itself, since Safari shows a
// retraction beside the alert it takes back (DESIGN 3).
type retraction struct{ language, before, body string }

// retractions are in the languages most of Asia's readers read, and English
// for all others.
func retractions() []retraction {
	return []retraction{
		{"en", "RETRACTED: ", "We have withdrawn this report. Please disregard our earlier alert."},
		{"ja", "【取り消し】", "この記事は取り消しました。先ほどの速報は無効です。"},
		{"zh-Hans", "【撤回】", "本报道已撤回，请勿采信此前的快讯。"},
		{"zh-Hant", "【撤回】", "本報道已撤回，請勿採信先前的快訊。"},
		{"ko", "[취소] ", "이 기사는 취소되었습니다. 앞서 보낸 속보는 무효입니다."},
		{"hi", "ख़बर वापस ली गई: ", "हमने यह ख़बर वापस ले ली है। कृपया हमारे पिछले अलर्ट पर ध्यान न दें।"},
		{"ar", "سحب خبر: ", "لقد سحبنا هذا الخبر. يرجى تجاهل تنبيهنا السابق."},
		{"ur", "خبر واپس لے لی گئی: ", "ہم نے یہ خبر واپس لے لی ہے۔ براہِ کرم ہمارے پچھلے الرٹ کو نظر انداز کریں۔"},
		{"fa", "خبر پس گرفته شد: ", "این خبر را پس گرفته‌ایم. لطفاً هشدار قبلی ما را نادیده بگیرید."},
		{"th", "ถอนข่าว: ", "เราได้ถอนข่าวนี้แล้ว โปรดอย่าเชื่อการแจ้งเตือนก่อนหน้าของเรา"},
		{"id", "DITARIK: ", "Kami telah menarik berita ini. Mohon abaikan notifikasi kami sebelumnya."},
		{"ms", "DITARIK BALIK: ", "Kami telah menarik balik berita ini. Sila abaikan makluman kami sebelum ini."},
		{"vi", "RÚT TIN: ", "Chúng tôi đã rút tin này. Vui lòng bỏ qua thông báo trước đó của chúng tôi."},
		{"fil", "BINAWI: ", "Binawi na namin ang balitang ito. Huwag pansinin ang nauna naming alerto."},
		{"bn", "খবর প্রত্যাহার: ", "আমরা এই খবরটি প্রত্যাহার করেছি। অনুগ্রহ করে আমাদের আগের সতর্কবার্তা উপেক্ষা করুন।"},
		{"ta", "செய்தி திரும்பப் பெறப்பட்டது: ", "இந்தச் செய்தியைத் திரும்பப் பெற்றுள்ளோம். எங்கள் முந்தைய அறிவிப்பைப் புறக்கணிக்கவும்."},
		{"tr", "GERİ ÇEKİLDİ: ", "Bu haberi geri çektik. Lütfen önceki bildirimimizi dikkate almayın."},
		{"ru", "ОТОЗВАНО: ", "Мы отозвали это сообщение. Пожалуйста, не принимайте во внимание наше предыдущее уведомление."},
		{"he", "הוסר: ", "הסרנו את הידיעה הזאת. נא להתעלם מההתראה הקודמת שלנו."},
	}
}

// RetractionTexts are the texts that take an alert back: one for each of its
// texts, and one for each language we have words in, around the title that its
// readers were shown. Whoever could not read the alert must at least be able to
// read that it is withdrawn. Each reads whole by itself.
func RetractionTexts(a *Alert) map[string]Text {
	have := slices.Sorted(maps.Keys(a.Texts))
	texts := make(map[string]Text, len(a.Texts))
	for _, language := range have {
		texts[language] = retractionIn(language).of(a.Texts[language].Title)
	}
	for _, r := range retractions() {
		told := func(language string) bool { return SameLanguage(r.language, language) }
		if shown, ok := a.Texts[PickLanguage(r.language, have, a.Language)]; ok && !slices.ContainsFunc(have, told) {
			texts[r.language] = r.of(shown.Title)
		}
	}
	return texts
}

// of is the text that takes back what bore the title.
func (r retraction) of(title string) Text {
	return Text{Title: Cut(r.before+title, MaxTitleCharacters, MaxTitleBytes), Body: r.body}
}

// retractionIn is the words of the language in its script, else English: a
// retraction in a merely related language could be misread.
func retractionIn(language string) retraction {
	all := retractions()
	for _, r := range all {
		if SameLanguage(language, r.language) {
			return r
		}
	}
	return all[0]
}
