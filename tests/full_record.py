"""An invented record with all that NLM's DTD of 2025 has for a citation, in its order."""

from __future__ import annotations

FULL = """\
<PubmedArticle>
  <MedlineCitation Status="MEDLINE" VersionID="2" VersionDate="2024/05/06" \
IndexingMethod="Automated" Owner="NLM">
    <PMID Version="2">90000011</PMID>
    <DateCompleted><Year>2024</Year><Month>02</Month><Day>29</Day></DateCompleted>
    <DateRevised><Year>2024</Year><Month>05</Month><Day>06</Day></DateRevised>
    <Article PubModel="Print-Electronic">
      <Journal>
        <ISSN IssnType="Electronic">0000-000X</ISSN>
        <JournalIssue CitedMedium="Internet">
          <Volume>12 Suppl 1</Volume>
          <Issue>3</Issue>
          <PubDate><Year>2023</Year><Month>Dec</Month><Day>07</Day></PubDate>
        </JournalIssue>
        <Title>Journal of Invented Results</Title>
        <ISOAbbreviation>J. Invent. Res.</ISOAbbreviation>
      </Journal>
      <ArticleTitle>[The <i>in vitro</i> CO<sub>2</sub> &amp; <b><i>p</i></b>&lt;0.05 test].\
</ArticleTitle>
      <Pagination>
        <StartPage>101</StartPage>
        <EndPage>109</EndPage>
        <MedlinePgn>101-9</MedlinePgn>
      </Pagination>
      <ELocationID EIdType="pii" ValidYN="Y">S0000-1</ELocationID>
      <ELocationID EIdType="doi" ValidYN="Y">10.0000/own.1</ELocationID>
      <Abstract>
        <AbstractText Label="AIMS &amp; SCOPE" NlmCategory="OBJECTIVE">To try  two
          lines.</AbstractText>
        <AbstractText Label="RESULTS" NlmCategory="RESULTS">\
<mml:math xmlns:mml="http://www.w3.org/1998/Math/MathML"><mml:mi>R</mml:mi>\
<mml:mo>=</mml:mo><mml:mn>2</mml:mn></mml:math>, P&#8201;=&#x2009;1.</AbstractText>
        <AbstractText Label="NOTHING" NlmCategory="UNASSIGNED"/>
        <CopyrightInformation>© 2023 Nobody.</CopyrightInformation>
      </Abstract>
      <AuthorList CompleteYN="N">
        <Author ValidYN="Y" EqualContrib="Y">
          <LastName>Testa</LastName>
          <ForeName>Ada B</ForeName>
          <Initials>AB</Initials>
          <Suffix>Jr</Suffix>
          <Identifier Source="ORCID">https://orcid.org/0000-0002-1825-009X</Identifier>
          <AffiliationInfo>
            <Affiliation>Institute A &amp; B, Nowhere.</Affiliation>
            <Identifier Source="ROR">https://ror.org/000000000</Identifier>
          </AffiliationInfo>
          <AffiliationInfo>
            <Affiliation>Institute C.</Affiliation>
          </AffiliationInfo>
        </Author>
        <Author ValidYN="N">
          <LastName>Probts</LastName>
          <ForeName>C</ForeName>
          <Initials>C</Initials>
        </Author>
        <Author ValidYN="Y">
          <LastName>Probst</LastName>
          <ForeName>C</ForeName>
          <Initials>C</Initials>
        </Author>
        <Author ValidYN="Y">
          <CollectiveName>The Invented Trial Group</CollectiveName>
        </Author>
      </AuthorList>
      <Language>ger</Language>
      <Language>eng</Language>
      <DataBankList CompleteYN="Y">
        <DataBank>
          <DataBankName>ClinicalTrials.gov</DataBankName>
          <AccessionNumberList>
            <AccessionNumber>NCT00000000</AccessionNumber>
            <AccessionNumber>NCT00000001</AccessionNumber>
          </AccessionNumberList>
        </DataBank>
      </DataBankList>
      <GrantList CompleteYN="N">
        <Grant>
          <GrantID>R00 XX000000</GrantID>
          <Acronym>XX</Acronym>
          <Agency>NIXX NIH HHS</Agency>
          <Country>United States</Country>
        </Grant>
        <Grant>
          <Agency>Nobody &amp; Sons</Agency>
          <Country/>
        </Grant>
      </GrantList>
      <PublicationTypeList>
        <PublicationType UI="D016428">Journal Article</PublicationType>
        <PublicationType UI="D016449">Randomized Controlled Trial</PublicationType>
      </PublicationTypeList>
      <VernacularTitle>Der <i>in vitro</i>-Test</VernacularTitle>
      <ArticleDate DateType="Electronic"><Year>2023</Year><Month>11</Month><Day>01</Day>\
</ArticleDate>
    </Article>
    <MedlineJournalInfo>
      <Country>Germany</Country>
      <MedlineTA>J Invent Res</MedlineTA>
      <NlmUniqueID>0000001</NlmUniqueID>
      <ISSNLinking>0000-0001</ISSNLinking>
    </MedlineJournalInfo>
    <ChemicalList>
      <Chemical>
        <RegistryNumber>S88TT14065</RegistryNumber>
        <NameOfSubstance UI="D010100">Oxygen</NameOfSubstance>
      </Chemical>
    </ChemicalList>
    <SupplMeshList>
      <SupplMeshName Type="Protocol" UI="C000000">Invented protocol</SupplMeshName>
    </SupplMeshList>
    <CitationSubset>IM</CitationSubset>
    <CitationSubset>H</CitationSubset>
    <CommentsCorrectionsList>
      <CommentsCorrections RefType="ErratumIn">
        <RefSource>J Invent Res. 2024 Jan;13(1):1</RefSource>
        <PMID Version="1">90000012</PMID>
        <Note>Author name</Note>
      </CommentsCorrections>
      <CommentsCorrections RefType="Cites">
        <RefSource>J Old. 1999;1:1</RefSource>
        <PMID Version="1">90000013</PMID>
      </CommentsCorrections>
    </CommentsCorrectionsList>
    <GeneSymbolList><GeneSymbol>bdnf</GeneSymbol></GeneSymbolList>
    <MeshHeadingList>
      <MeshHeading>
        <DescriptorName UI="D015444" MajorTopicYN="N" AutoHM="Y">Exercise</DescriptorName>
        <QualifierName UI="Q000502" MajorTopicYN="Y">physiology</QualifierName>
        <QualifierName UI="Q000523" MajorTopicYN="N" AutoHM="Y">psychology</QualifierName>
      </MeshHeading>
      <MeshHeading>
        <DescriptorName UI="D005858" MajorTopicYN="Y" Type="Geographic">Germany</DescriptorName>
      </MeshHeading>
    </MeshHeadingList>
    <NumberOfReferences>41</NumberOfReferences>
    <PersonalNameSubjectList>
      <PersonalNameSubject>
        <LastName>Muster</LastName>
        <ForeName>Eva</ForeName>
        <Initials>E</Initials>
      </PersonalNameSubject>
    </PersonalNameSubjectList>
    <OtherID Source="NLM">PMC9000001</OtherID>
    <OtherAbstract Type="Publisher" Language="ger">
      <AbstractText Label="ZIEL">Zu prüfen.</AbstractText>
      <CopyrightInformation>© Niemand.</CopyrightInformation>
    </OtherAbstract>
    <OtherAbstract Type="plain-language-summary" Language="eng">
      <AbstractText>In plain words.</AbstractText>
    </OtherAbstract>
    <KeywordList Owner="NOTNLM">
      <Keyword MajorTopicYN="Y">T<sub>reg</sub> cells</Keyword>
      <Keyword MajorTopicYN="N">invention</Keyword>
      <Keyword MajorTopicYN="N"/>
    </KeywordList>
    <KeywordList Owner="KIE">
      <Keyword MajorTopicYN="N">Bioethics</Keyword>
    </KeywordList>
    <CoiStatement>None &amp; never.</CoiStatement>
    <SpaceFlightMission>Flight 0</SpaceFlightMission>
    <InvestigatorList>
      <Investigator ValidYN="Y">
        <LastName>Fictor</LastName>
        <ForeName>Max</ForeName>
        <Initials>M</Initials>
        <AffiliationInfo><Affiliation>Site 1.</Affiliation></AffiliationInfo>
      </Investigator>
    </InvestigatorList>
    <GeneralNote Owner="KIE">A note.</GeneralNote>
  </MedlineCitation>
  <PubmedData>
    <History>
      <PubMedPubDate PubStatus="received">\
<Year>2023</Year><Month>1</Month><Day>2</Day></PubMedPubDate>
      <PubMedPubDate PubStatus="accepted">\
<Year>2023</Year><Month>10</Month><Day>3</Day></PubMedPubDate>
      <PubMedPubDate PubStatus="entrez"><Year>2023</Year><Month>11</Month><Day>1</Day>\
<Hour>6</Hour><Minute>5</Minute></PubMedPubDate>
    </History>
    <PublicationStatus>ppublish</PublicationStatus>
    <ArticleIdList>
      <ArticleId IdType="pubmed">90000011</ArticleId>
      <ArticleId IdType="mid">NIHMS0</ArticleId>
      <ArticleId IdType="pmc">PMC9000001</ArticleId>
      <ArticleId IdType="doi">10.0000/own.1</ArticleId>
    </ArticleIdList>
    <ReferenceList>
      <Title>References</Title>
      <Reference>
        <Citation>Nobody A. <i>J Old</i>. 1998 &amp; 1999.</Citation>
        <ArticleIdList>
          <ArticleId IdType="doi">10.0000/cited</ArticleId>
          <ArticleId IdType="pubmed">90000014</ArticleId>
          <ArticleId IdType="pmcid">PMC9000014</ArticleId>
        </ArticleIdList>
      </Reference>
      <Reference>
        <Citation>Nobody B.</Citation>
      </Reference>
      <Reference>
        <Citation>Nobody C.</Citation>
        <ArticleIdList>
          <ArticleId IdType="pubmed">90000015</ArticleId>
          <ArticleId IdType="sici">0000(1)</ArticleId>
        </ArticleIdList>
      </Reference>
    </ReferenceList>
  </PubmedData>
</PubmedArticle>"""
