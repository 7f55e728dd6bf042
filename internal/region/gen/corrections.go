package main

// correctedSubdivisions are English names that CLDR 48 lacks, has in another
// language, or spells as no English newspaper does. Iran renumbered all its
// provinces in ISO 3166-2 of 24 November 2020; CLDR has the new codes under
// the old names, so its whole list is given here.
var correctedSubdivisions = map[string]string{
	"CN-NM": "Inner Mongolia", "FR-CP": "Clipperton", "SH-TA": "Tristan da Cunha",
	"NO-54": "Troms and Finnmark", "AF-GHO": "Ghor", "AZ-XA": "Khankendi", "IQ-QA": "Al-Qadisiyyah",
	"KR-29": "Gwangju", "KW-KU": "Al Asimah", "QA-SH": "Al-Shahaniya",
	"TJ-RA": "Districts of Republican Subordination", "TM-D": "Dashoguz", "TM-S": "Ashgabat",
	"YE-AD": "Aden", "YE-SA": "Sanaa", "YE-SN": "Sanaa Governorate", "YE-SU": "Socotra",
	"OM-BJ": "South Batinah", "OM-BS": "North Batinah", "OM-SJ": "South Sharqiyah", "OM-SS": "North Sharqiyah",

	"IN-CG": "Chhattisgarh", "IN-DH": "Dadra and Nagar Haveli and Daman and Diu",
	"IN-TS": "Telangana", "IN-UK": "Uttarakhand",

	"JP-01": "Hokkaido", "JP-26": "Kyoto", "JP-27": "Osaka", "JP-28": "Hyogo", "JP-39": "Kochi", "JP-44": "Oita",

	"BD-06": "Barisal", "BD-A": "Barisal Division",

	"PH-14": "Bangsamoro", "PH-COM": "Davao de Oro",

	"KR-42": "Gangwon State", "KR-45": "Jeonbuk State", "PK-JK": "Pakistan-administered Kashmir",

	"NP-P1": "Koshi", "NP-P2": "Madhesh", "NP-P3": "Bagmati", "NP-P5": "Lumbini", "NP-P7": "Sudurpashchim",

	"ID-PD": "Southwest Papua", "ID-PE": "Highland Papua", "ID-PS": "South Papua", "ID-PT": "Central Papua",

	"KZ-11": "Akmola Region", "KZ-15": "Aktobe Region", "KZ-23": "Atyrau Region", "KZ-27": "West Kazakhstan",
	"KZ-31": "Jambyl Region", "KZ-33": "Jetisu Region", "KZ-35": "Karaganda Region", "KZ-39": "Kostanay Region",
	"KZ-43": "Kyzylorda Region", "KZ-47": "Mangystau Region", "KZ-59": "North Kazakhstan",
	"KZ-61": "Turkistan Region", "KZ-62": "Ulytau Region", "KZ-63": "East Kazakhstan",

	"IR-00": "Markazi", "IR-01": "Gilan", "IR-02": "Mazandaran", "IR-03": "East Azerbaijan",
	"IR-04": "West Azerbaijan", "IR-05": "Kermanshah", "IR-06": "Khuzestan", "IR-07": "Fars",
	"IR-08": "Kerman", "IR-09": "Razavi Khorasan", "IR-10": "Isfahan", "IR-11": "Sistan and Baluchestan",
	"IR-12": "Kurdistan", "IR-13": "Hamadan", "IR-14": "Chaharmahal and Bakhtiari", "IR-15": "Lorestan",
	"IR-16": "Ilam", "IR-17": "Kohgiluyeh and Boyer-Ahmad", "IR-18": "Bushehr", "IR-19": "Zanjan",
	"IR-20": "Semnan", "IR-21": "Yazd", "IR-22": "Hormozgan", "IR-23": "Tehran", "IR-24": "Ardabil",
	"IR-25": "Qom", "IR-26": "Qazvin", "IR-27": "Golestan", "IR-28": "North Khorasan",
	"IR-29": "South Khorasan", "IR-30": "Alborz",
}

// formerly is the code under which CLDR 41 has a subdivision's names: Iran's and
// Kazakhstan's numbers and India's letters are newer, and it has the city of
// Lankaran under the code of the district around it, and the other way round.
func formerly(code string) string {
	if was, ok := map[string]string{
		"AZ-LA": "AZ-LAN", "AZ-LAN": "AZ-LA",
		"IN-CG": "IN-CT", "IN-OD": "IN-OR", "IN-TS": "IN-TG", "IN-UK": "IN-UT",
		"KZ-11": "KZ-AKM", "KZ-15": "KZ-AKT", "KZ-19": "KZ-ALM", "KZ-23": "KZ-ATY", "KZ-27": "KZ-ZAP", "KZ-31": "KZ-ZHA",
		"KZ-35": "KZ-KAR", "KZ-39": "KZ-KUS", "KZ-43": "KZ-KZY", "KZ-47": "KZ-MAN", "KZ-55": "KZ-PAV", "KZ-59": "KZ-SEV",
		"KZ-63": "KZ-VOS", "KZ-71": "KZ-AST", "KZ-75": "KZ-ALA",
		"IR-00": "IR-22", "IR-01": "IR-19", "IR-02": "IR-21", "IR-03": "IR-01", "IR-04": "IR-02", "IR-05": "IR-17",
		"IR-06": "IR-10", "IR-07": "IR-14", "IR-08": "IR-15", "IR-09": "IR-30", "IR-10": "IR-04", "IR-11": "IR-13",
		"IR-12": "IR-16", "IR-13": "IR-24", "IR-14": "IR-08", "IR-15": "IR-20", "IR-16": "IR-05", "IR-17": "IR-18",
		"IR-18": "IR-06", "IR-19": "IR-11", "IR-20": "IR-12", "IR-21": "IR-25", "IR-22": "IR-23", "IR-23": "IR-07",
		"IR-24": "IR-03", "IR-25": "IR-26", "IR-26": "IR-28", "IR-28": "IR-31", "IR-30": "IR-32",
	}[code]; ok {
		return was
	}
	return code
}
